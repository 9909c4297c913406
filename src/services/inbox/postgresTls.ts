// TLS to PostgreSQL: the parameters of a URL, and what its errors mean. A wrong certificate stays
// wrong: it is no database that is away for a while.
import { readFileSync } from "node:fs"
import { shown } from "../../bytes/excerpt.ts"

/** The values of `sslmode`, and what they stand for: a connection in TLS is always verified. */
const modes: Readonly<Record<string, string>> = {
  disable: "disable",
  "no-verify": "no-verify",
  "verify-full": "verify-full",
  // libpq verifies less, or nothing, under these names.
  "verify-ca": "verify-full",
  require: "verify-full",
  prefer: "verify-full"
}

/** The parameters that name files. */
const files = ["sslrootcert", "sslcert", "sslkey"] as const

/** Returns why the TLS parameters of a URL are wrong, as a clause; undefined if they can be right. */
export const parameterFault = ({ searchParams }: URL): string | undefined => {
  const mode = searchParams.get("sslmode")
  return mode === null || Object.hasOwn(modes, mode)
    ? undefined
    : `sslmode=${shown(mode)} is not one of ${Object.keys(modes).join(", ")}`
}

/** Returns why a file that the URL names cannot be used, as a clause; undefined if all can. */
export const fileFault = ({ searchParams }: URL): string | undefined => {
  for (const parameter of files) {
    const file = searchParams.get(parameter)
    if (file === null) continue
    try {
      readFileSync(file)
    } catch (cause) {
      const { code = "unknown error" } = cause as NodeJS.ErrnoException
      return `${parameter}=${shown(file)} cannot be read (${code})`
    }
  }
  return undefined
}

/** Replaces the names that the client library warns about by the one that it takes them for. */
export const normalize = ({ searchParams }: URL): void => {
  const mode = modes[searchParams.get("sslmode") ?? ""]
  if (mode !== undefined) searchParams.set("sslmode", mode)
}

/** What an error means, by the beginning of its code. The first that matches counts. */
const causes: ReadonlyArray<readonly [code: RegExp, clause: string]> = [
  [
    /^(DEPTH_ZERO_)?SELF_SIGNED|^UNABLE_TO_(GET_ISSUER|VERIFY)/,
    "no authority that this machine trusts has signed its certificate; name that authority: sslrootcert=FILE in the URL"
  ],
  [/^CERT_HAS_EXPIRED/, "its certificate has expired; renew it there"],
  [/^CERT_NOT_YET_VALID/, "its certificate is not valid yet; check the clock of this machine"],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID|^HOSTNAME_MISMATCH/,
    "its certificate is for another host; use a host name of the certificate in the URL"
  ],
  [
    /^(CERT_|ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO)/,
    "check the certificates and versions of both sides"
  ]
]

/** Returns what went wrong with TLS, as a clause; undefined for an error of another kind. */
export const errorClause = (code: string, text: string): string | undefined => {
  if (/does not support SSL/.test(text))
    return "the database offers no TLS; turn it on there (ssl = on), or write sslmode=disable where the network is safe"
  const cause = causes.find(([pattern]) => pattern.test(code))
  return cause === undefined ? undefined : `TLS to the database failed (${code}): ${cause[1]}`
}
