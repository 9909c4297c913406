// Keys and certificates for both ends of a contestant, in a folder that is deleted after the run.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

const variable = "SEALWIRE_BENCH_SECRETS"

/** The folder of the secrets; the child processes find it through the environment. */
export const secretsFolder = (): string => process.env[variable] ?? ""

/**
 * Creates the folder and, with openssl, two certificates of P-256 keys: one that both ends of TLS
 * use, and one of a stranger. Each is signed by an authority of its own: verifying a certificate
 * that signs itself would cost nothing.
 */
export const makeSecrets = (): void => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-bench-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  process.env[variable] = folder
  for (const owner of ["", "stranger-"]) {
    const at = (name: string) => path.join(folder, `${owner}${name}.pem`)
    certify(at("ca-key"), at("ca"), ["-subj", "/CN=authority"])
    const signed = ["-CA", at("ca"), "-CAkey", at("ca-key"), "-addext", "basicConstraints=CA:FALSE"]
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    certify(at("key"), at("cert"), [...names, ...signed])
  }
}

/** Makes a key and its certificate. */
const certify = (key: string, certificate: string, args: ReadonlyArray<string>): void => {
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
  spawnSync("openssl", [...request.split(" "), "-keyout", key, "-out", certificate, ...args], {
    stdio: "ignore"
  })
}

export interface Certificate {
  readonly key: string
  readonly cert: string
  /** The certificate of the authority that both ends trust. */
  readonly ca: string
}

/** The certificate of both ends, or of a stranger that neither trusts. */
export const certificate = (owner: "" | "stranger-" = ""): Certificate => {
  const read = (file: string) => readFileSync(path.join(secretsFolder(), file), "utf8")
  return { key: read(`${owner}key.pem`), cert: read(`${owner}cert.pem`), ca: read("ca.pem") }
}

/** Why TLS cannot be measured. */
export const missingCertificate = (): string | undefined =>
  existsSync(path.join(secretsFolder(), "cert.pem")) ? undefined : "not installed: openssl"
