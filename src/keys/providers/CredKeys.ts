import path from "node:path"
import * as Effect from "effect/Effect"
import * as FileKeys from "./FileKeys.ts"
import { KeyUnavailable } from "../KeyErrors.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/** A credential that systemd holds ready for a service (`LoadCredential=`, `LoadCredentialEncrypted=`; systemd.exec(5)). */
export const location = (
  name: string,
  environment: Readonly<Record<string, string | undefined>> = process.env
): KeyLocation => {
  const reference = `cred:${name}`
  const hint = `say in the unit: LoadCredential=${name}:/path/of/the/key`
  const unavailable = (reason: string) => new KeyUnavailable({ reference, reason, hint })
  return {
    reference,
    read: () =>
      Effect.suspend(() => {
        const folder = environment.CREDENTIALS_DIRECTORY
        if (name === "" || name === "." || name === ".." || /[/\0]/.test(name))
          return new KeyUnavailable({
            reference,
            reason: "that is no name of a credential",
            hint: "write it as cred:NAME"
          })
        if (folder === undefined || folder === "")
          return unavailable(
            "$CREDENTIALS_DIRECTORY is not set: systemd gave this program no credentials"
          )
        return FileKeys.readChecked({
          file: path.join(folder, name),
          reference,
          forbidden: othersAndChange,
          missing: () => unavailable(`systemd gave no credential of that name`)
        })
      }),
    write: hint
  }
}

/** systemd lets a service's user in by an access list, which shows as a group that may read. */
const othersAndChange = 0o037

export const CredKeys: Provider = {
  scheme: "cred",
  form: "cred:NAME",
  summary: "a credential of systemd",
  location
}
