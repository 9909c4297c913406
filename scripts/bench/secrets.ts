// Keys and certificates that both ends of a contestant need: in one folder, made for this run, gone with it.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

const variable = "SEALWIRE_BENCH_SECRETS"

/** Where they lie; the children find it by the environment. */
export const secretsFolder = (): string => process.env[variable] ?? ""

/** Makes the folder, and with openssl one P-256 certificate that signs itself, shown by both ends of TLS. */
export const makeSecrets = (): void => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-bench-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  process.env[variable] = folder
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
  const files = ["-keyout", path.join(folder, "key.pem"), "-out", path.join(folder, "cert.pem")]
  spawnSync("openssl", [...request.split(" "), ...files], { stdio: "ignore" })
}

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Undefined on a machine without openssl. */
export const certificate = (): Certificate | undefined => {
  if (!existsSync(path.join(secretsFolder(), "cert.pem"))) return undefined
  const read = (file: string) => readFileSync(path.join(secretsFolder(), file), "utf8")
  return { key: read("key.pem"), cert: read("cert.pem") }
}
