// Who is trusted: the files `known_peers` and `authorized_peers`. DESIGN section 6.
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Printable from "../bytes/Printable.ts"
import * as PublicKey from "./PublicKey.ts"

/** A line of `authorized_peers`: a client this server lets in. */
export interface AuthorizedPeer {
  readonly publicKey: Uint8Array
  readonly name: string
}

/** A line of `known_peers`: a server this client knows by the address it is reached at. */
export interface KnownPeer {
  readonly address: string
  readonly publicKey: Uint8Array
  readonly name: string
  readonly line: number
}

/** A peers file that cannot be used. */
export class PeersInvalid extends Data.TaggedError("PeersInvalid")<{
  readonly file: string
  /** From 1; 0 when it is the file as a whole. */
  readonly line: number
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}${this.line > 0 ? `:${this.line}` : ""}: ${this.detail}`
  }
}

/** What a name may be: it stands in logs, in files and in environments. */
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u

export const isName = (text: string): boolean => namePattern.test(text)

interface Line {
  readonly number: number
  readonly words: ReadonlyArray<string>
}

const linesOf = (text: string): ReadonlyArray<Line> =>
  text
    .split(/\r?\n/)
    .map((line, index) => ({ number: index + 1, words: line.trim().split(/\s+/) }))
    .filter(({ words }) => words[0] !== "" && words[0]?.startsWith("#") !== true)

/** One line a client: `public-key name`. */
export const parseAuthorized = (file: string, text: string): Either.Either<ReadonlyArray<AuthorizedPeer>, PeersInvalid> =>
  each(file, text, ({ words }) => {
    const [key = "", name = "", ...rest] = words
    const publicKey = PublicKey.decode(key)
    if (publicKey === undefined) return `"${Printable.line(key)}" is not a public key (sealwire1…); write: public-key name`
    if (!isName(name) || rest.length > 0) return "after the key comes a name: letters, digits, and . _ @ -, 64 at most"
    return { publicKey, name }
  })

/** One line a server: `address public-key name`. */
export const parseKnown = (file: string, text: string): Either.Either<ReadonlyArray<KnownPeer>, PeersInvalid> =>
  each(file, text, ({ number, words }) => {
    const [address = "", key = "", name = "", ...rest] = words
    const publicKey = PublicKey.decode(key)
    if (publicKey === undefined)
      return `"${Printable.line(key)}" is not a public key (sealwire1…); write: address public-key name`
    if (!isName(name) || rest.length > 0) return "after the key comes a name: letters, digits, and . _ @ -, 64 at most"
    return { address, publicKey, name, line: number }
  })

export const formatKnown = ({ address, publicKey, name }: Omit<KnownPeer, "line">): string =>
  `${address} ${PublicKey.encode(publicKey)} ${name}\n`

const each = <A extends object>(
  file: string,
  text: string,
  parse: (line: Line) => A | string
): Either.Either<ReadonlyArray<A>, PeersInvalid> => {
  const found: Array<A> = []
  for (const line of linesOf(text)) {
    const parsed = parse(line)
    if (typeof parsed === "string") return Either.left(new PeersInvalid({ file, line: line.number, detail: parsed }))
    found.push(parsed)
  }
  return Either.right(found)
}
