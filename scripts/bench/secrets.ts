// For node:tls: one P-256 certificate that signs itself, shown by both ends.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

const variable = "SEALWIRE_BENCH_CERTIFICATE"

/** Made with openssl into a folder that goes with this process; the children find it by the environment. */
export const makeCertificate = (): void => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-bench-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  process.env[variable] = folder
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
  const files = ["-keyout", path.join(folder, "key.pem"), "-out", path.join(folder, "cert.pem")]
  spawnSync("openssl", [...request.split(" "), ...files], { stdio: "ignore" })
}

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Undefined on a machine without openssl. */
export const certificate = (): Certificate | undefined => {
  const folder = process.env[variable] ?? ""
  if (!existsSync(path.join(folder, "cert.pem"))) return undefined
  const read = (file: string) => readFileSync(path.join(folder, file), "utf8")
  return { key: read("key.pem"), cert: read("cert.pem") }
}
