// Keys and certificates for both ends of a contestant, in a folder that is deleted after the run.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

const variable = "SEALWIRE_BENCH_SECRETS"

/** The folder of the secrets; the child processes find it through the environment. */
export const secretsFolder = (): string => process.env[variable] ?? ""

/**
 * Creates the folder and, with openssl, a self-signed P-256 certificate that both ends of TLS use.
 */
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

/** The certificate, or undefined without openssl. */
export const certificate = (): Certificate | undefined => {
  if (!existsSync(path.join(secretsFolder(), "cert.pem"))) return undefined
  const read = (file: string) => readFileSync(path.join(secretsFolder(), file), "utf8")
  return { key: read("key.pem"), cert: read("cert.pem") }
}
