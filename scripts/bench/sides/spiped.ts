import { randomBytes } from "node:crypto"
import { existsSync, writeFileSync } from "node:fs"
import path from "node:path"
import { missingPrograms } from "../programs.ts"
import type { Command, End, Tunnel } from "./tunnel.ts"

/** AES-256-CTR and HMAC-SHA256 with one shared key and a Diffie-Hellman exchange. */
const end =
  (flag: "-e" | "-d") =>
  ({ from, to, folder }: End): Command => [
    "spiped",
    [
      flag,
      "-F",
      "-s",
      `[127.0.0.1]:${from}`,
      "-t",
      `[127.0.0.1]:${to}`,
      "-k",
      path.join(folder, "spiped.key")
    ]
  ]

export const spiped: Tunnel = {
  name: "spiped",
  missing: (folder) => {
    const key = path.join(folder, "spiped.key")
    if (!existsSync(key)) writeFileSync(key, randomBytes(32), { mode: 0o600 })
    return missingPrograms(["spiped"])
  },
  server: end("-d"),
  client: end("-e")
}
