import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Subprocess from "../Subprocess.ts"
import { KeyUnavailable } from "../KeyErrors.ts"
import { limits } from "../limits.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/**
 * The output of a command: `pass show sealwire/server`, `op read op://…`,
 * `vault kv get -field=key …`. /bin/sh runs it, as ssh runs a ProxyCommand, but without standard
 * input and terminal.
 */
export const location = (
  command: string,
  deadline: Duration.DurationInput = limits.commandDeadline
): KeyLocation => {
  const reference = `exec:${command}`
  const unavailable = (clause: string) =>
    new KeyUnavailable({
      reference,
      reason: `the command ${clause}`,
      hint: "run it by hand to see why"
    })
  return {
    reference,
    read: () =>
      Subprocess.run({ program: "/bin/sh", args: ["-c", command], deadline }).pipe(
        Effect.mapError(unavailable),
        Effect.filterOrFail(
          ({ status }) => status === 0,
          ({ status, lastErrorLine }) => unavailable(`exited with status ${status}${lastErrorLine}`)
        ),
        Effect.filterOrFail(
          ({ output }) => output.length > 0,
          ({ lastErrorLine }) => unavailable(`printed nothing${lastErrorLine}`)
        ),
        Effect.map(({ output }) => output)
      ),
    write: "store the key where the command reads it"
  }
}

export const ExecKeys: Provider = {
  scheme: "exec",
  form: "exec:COMMAND",
  summary: "the output of a command: pass, op, vault, …",
  location
}
