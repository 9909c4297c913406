// Reads sealwire-wire.json: vectors of the papers of this repository, made by an independent
// implementation that was written from them.
import { readFileSync } from "node:fs"
import path from "node:path"

export interface SuiteVector {
  readonly suite: number
  readonly noise: string
  readonly "server name": string
  readonly application: string
  readonly "client static": string | null
  readonly "server static": string | null
  readonly psk: string | null
  readonly "client ephemeral": string
  readonly "server ephemeral": string
  readonly hello: string
  readonly prologue: string
  readonly "handshake frames": ReadonlyArray<string>
  readonly "handshake hash": string
  readonly "client to server key": string
  readonly "server to client key": string
  readonly "client records": ReadonlyArray<readonly [what: string, frame: string]>
  readonly "server records": ReadonlyArray<readonly [what: string, frame: string]>
  readonly "client to server key after 65536 records": string
  readonly "client record number 65536 (from 0): PING": string
}

type KeyVector = readonly [bytes: string, text: string]

export interface WireVectors {
  readonly keys: Readonly<Record<"shared" | "identity" | "public" | "file key", KeyVector>>
  readonly suites: ReadonlyArray<SuiteVector>
  readonly files: Readonly<Record<string, string>> & {
    readonly recipients: ReadonlyArray<string>
  }
  readonly transfer: Readonly<Record<string, string>> & {
    readonly "8 MiB of 00, 1 MiB of 01, one 02": {
      readonly blocks: ReadonlyArray<string>
      readonly file: string
    }
  }
  readonly messages: Readonly<Record<string, string>>
  readonly announcement: {
    readonly "client ephemeral": string
    readonly "handshake hash": string
    readonly "private keys: current, of the handshake, retiring": ReadonlyArray<string>
    readonly retires: ReadonlyArray<number>
    readonly "CONTROL body": string
  }
  readonly pairing: {
    readonly code: string
    readonly written: string
    readonly psk: string
    readonly another: readonly [code: string, written: string]
  }
}

export const wire = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "sealwire-wire.json"), "utf8")
) as WireVectors

export const fromHex = (text: string): Buffer => Buffer.from(text, "hex")
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
