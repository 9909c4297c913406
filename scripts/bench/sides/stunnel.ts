import { writeFileSync } from "node:fs"
import path from "node:path"
import { missingPrograms } from "../programs.ts"
import { missingCertificate } from "../secrets.ts"
import type { Command, End, Tunnel } from "./tunnel.ts"

/**
 * TLS 1.3 with AES-256-GCM, the same certificate on both sides and no resumption, as for node:tls.
 */
const end =
  (side: "client" | "server") =>
  ({ from, to, folder }: End): Command => {
    const file = path.join(folder, `stunnel-${side}-${from}.conf`)
    const settings = {
      foreground: "yes",
      debug: "crit",
      pid: "",
      "[bench]": undefined,
      client: side === "client" ? "yes" : "no",
      accept: `127.0.0.1:${from}`,
      connect: `127.0.0.1:${to}`,
      key: path.join(folder, "key.pem"),
      cert: path.join(folder, "cert.pem"),
      CAfile: path.join(folder, "ca.pem"),
      verifyChain: "yes",
      sslVersionMin: "TLSv1.3",
      ciphersuites: "TLS_AES_256_GCM_SHA384",
      sessionResume: "no"
    }
    const lines = Object.entries(settings).map(([name, value]) =>
      value === undefined ? name : `${name} = ${value}`
    )
    // The local and the remote socket each need the option.
    const noDelay = ["l", "r"].map((where) => `socket = ${where}:TCP_NODELAY=1`)
    writeFileSync(file, [...noDelay, ...lines, ""].join("\n"))
    return ["stunnel", [file]]
  }

export const stunnel: Tunnel = {
  name: "stunnel",
  missing: () => missingPrograms(["stunnel"]) ?? missingCertificate(),
  server: end("server"),
  client: end("client")
}
