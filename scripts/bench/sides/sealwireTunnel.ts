import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"
import { missingPrograms } from "../programs.ts"
import { missingCertificate } from "../secrets.ts"
import type { End, Tunnel } from "./tunnel.ts"

/** npm runs the benchmark in the root of the package. */
const command = path.resolve("dist/sealwire.js")
const key = (folder: string) => path.join(folder, "sealwire.key")

/** `sealwire serve --forward` and `sealwire tunnel`, with a shared key. */
const tunnel = (name: string, pool: number): Tunnel => ({
  name,
  missing: (folder) => {
    if (!existsSync(key(folder)))
      spawnSync(process.execPath, [command, "keygen", "-o", key(folder)], { stdio: "ignore" })
    return existsSync(key(folder)) ? undefined : "sealwire keygen failed"
  },
  server: ({ from, to, folder }: End) => [
    process.execPath,
    [
      command,
      "serve",
      "--listen",
      `:${from}`,
      "--forward",
      `it=127.0.0.1:${to}`,
      "--key",
      key(folder),
      "--log-level",
      "error"
    ]
  ],
  client: ({ from, to, folder }: End) => [
    process.execPath,
    [
      command,
      "tunnel",
      "--listen",
      `:${from}`,
      "--to",
      `:${to}`,
      "--key",
      key(folder),
      "--pool",
      `${pool}`,
      "--rate",
      "1000000",
      "--log-level",
      "error"
    ]
  ]
})

export const sealwireTunnel = tunnel("sealwire", 2)
export const withoutPool = tunnel("sealwire --pool 0", 0)

/** socat with the certificate of the TLS contestants. TLS 1.3 by default, blocks of 64 KiB. */
export const socat: Tunnel = {
  name: "socat OPENSSL",
  missing: () => missingPrograms(["socat"]) ?? missingCertificate(),
  server: ({ from, to, folder }) => [
    "socat",
    [
      "-b65536",
      `OPENSSL-LISTEN:${from},bind=127.0.0.1,fork,reuseaddr,backlog=1024,nodelay,cert=${folder}/cert.pem,key=${folder}/key.pem,cafile=${folder}/ca.pem,verify=1`,
      `TCP:127.0.0.1:${to},nodelay`
    ]
  ],
  client: ({ from, to, folder }) => [
    "socat",
    [
      "-b65536",
      `TCP-LISTEN:${from},bind=127.0.0.1,fork,reuseaddr,backlog=1024,nodelay`,
      `OPENSSL:127.0.0.1:${to},nodelay,cert=${folder}/cert.pem,key=${folder}/key.pem,cafile=${folder}/ca.pem,verify=1,commonname=localhost`
    ]
  ]
}
