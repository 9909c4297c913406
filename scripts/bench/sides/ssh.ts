import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import path from "node:path"
import { find, missingPrograms } from "../programs.ts"
import type { Tunnel } from "./tunnel.ts"

const cipher = "aes128-gcm@openssh.com"

/** A server for this user only, with keys of this run, which only forwards. */
const settings = (folder: string) => `
HostKey ${path.join(folder, "ssh_host")}
AuthorizedKeysFile ${path.join(folder, "ssh_client.pub")}
AllowUsers ${userInfo().username}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
LogLevel FATAL
Ciphers ${cipher}
`

/** One ssh connection with AES-128-GCM, and one channel for each forwarded connection. */
export const ssh: Tunnel = {
  name: "ssh",
  missing: (folder) => {
    const sshd = find("sshd")
    if (sshd === undefined) return missingPrograms(["sshd", "ssh"])
    const config = path.join(folder, "sshd_config")
    if (!existsSync(config)) {
      for (const name of ["ssh_host", "ssh_client"])
        spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(folder, name)], {
          stdio: "ignore"
        })
      writeFileSync(config, settings(folder))
    }
    // Its service, which never ran, would make the folder; only root can.
    if (process.geteuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
    const { status, stderr } = spawnSync(sshd, ["-t", "-f", config], { encoding: "utf8" })
    return status === 0 ? undefined : `sshd cannot run: ${stderr.trim().split("\n").at(-1)}`
  },
  server: ({ from, folder }) => [
    "sshd",
    ["-D", "-e", "-f", path.join(folder, "sshd_config"), "-o", `ListenAddress=127.0.0.1:${from}`]
  ],
  client: ({ from, to, sink, folder }) => {
    const known = path.join(folder, "ssh_known")
    writeFileSync(
      known,
      `[127.0.0.1]:${to} ${readFileSync(path.join(folder, "ssh_host.pub"), "utf8")}`
    )
    const given = [
      "StrictHostKeyChecking=yes",
      "IdentitiesOnly=yes",
      "BatchMode=yes",
      `UserKnownHostsFile=${known}`,
      `Ciphers=${cipher}`
    ]
    const identity = path.join(folder, "ssh_client")
    const forward = `127.0.0.1:${from}:127.0.0.1:${sink}`
    const options = given.flatMap((option) => ["-o", option])
    return [
      "ssh",
      ["-F", "none", "-N", "-i", identity, "-p", String(to), ...options, "-L", forward, "127.0.0.1"]
    ]
  }
}
