import { shown } from "../../bytes/excerpt.ts"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ChildEnvironment from "../ChildEnvironment.ts"
import * as Environment from "../Environment.ts"
import * as FileKeys from "./FileKeys.ts"
import { KeyUnavailable } from "../KeyErrors.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/**
 * A credential that systemd passes to a service (`LoadCredential=`, `LoadCredentialEncrypted=`;
 * systemd.exec(5)).
 */
export const location = (
  name: string,
  environment: Environment.Variables = process.env
): KeyLocation => {
  const reference = `cred:${name}`
  if (environment === process.env) ChildEnvironment.withhold("CREDENTIALS_DIRECTORY")
  const hint = `add to the unit: LoadCredential=${shown(name)}:/path/of/the/key`
  const unavailable = (reason: string) => new KeyUnavailable({ reference, reason, hint })
  return {
    reference,
    read: () =>
      Effect.suspend(() => {
        const found = Environment.variable("CREDENTIALS_DIRECTORY", environment)
        if (Either.isLeft(found)) return unavailable(`$CREDENTIALS_DIRECTORY ${found.left}`)
        const folder = found.right
        if (name === "" || name === "." || name === ".." || /[/\0]/.test(name))
          return new KeyUnavailable({
            reference,
            reason: "invalid credential name",
            hint: "write it as cred:NAME"
          })
        if (folder === undefined || folder === "")
          return unavailable(
            "$CREDENTIALS_DIRECTORY is not set: systemd passed no credentials to this program"
          )
        return FileKeys.readChecked({
          file: path.join(folder, name),
          reference,
          forbidden: othersAndGroupWrite,
          missing: () => unavailable("systemd passed no credential of that name")
        })
      }),
    write: hint
  }
}

/** systemd grants the service's user access by an ACL, which shows as a readable group mode. */
const othersAndGroupWrite = 0o037

export const CredKeys: Provider = {
  scheme: "cred",
  form: "cred:NAME",
  summary: "a credential of systemd",
  location
}
