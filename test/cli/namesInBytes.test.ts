// Names whose limit is in bytes: letters of one to four bytes count as they do on the wire, and both
// sides of a connection accept the same names.
import { describe, expect } from "vitest"
import { it, type Box } from "./Sealwire.ts"

/** Letters of one, two, three and four bytes. */
const letters = ["a", "\u00e4", "\u5b57", "\u{20000}"] as const

/** A name of so many letters; with dots in ASCII, where a long run of letters may be a key. */
const nameOf = (letter: string, count: number): string =>
  Array.from({ length: count }, (_, index) =>
    letter === "a" && index % 6 === 5 ? "." : letter
  ).join("")

/** True if check-config accepts these options for the command. */
const accepts = async (box: Box, command: "serve" | "tunnel", options: string) => {
  const base = command === "tunnel" ? 'listen = ":0"\n' : ""
  box.write("names.toml", `${base}${options}\n`)
  const { code, stderr } = await box.run(["check-config", "./names.toml", "--for", command])
  return { isAccepted: code === 0, stderr }
}

describe("the name of a target", () => {
  it.for(letters)(
    "of the letter %s is valid for both sides, or for neither",
    async (letter, { box }) => {
      for (const count of [1, 62, 63, 64, 65]) {
        const name = nameOf(letter, count)
        const served = await accepts(box, "serve", `forward = "${name}=127.0.0.1:1"`)
        const asked = await accepts(box, "tunnel", `target = "${name}"`)
        const isValid = count <= 64 && Buffer.byteLength(name) <= 248
        expect([count, served.isAccepted, asked.isAccepted]).toEqual([count, isValid, isValid])
        if (!isValid)
          for (const { stderr } of [served, asked])
            expect(stderr).toContain("is not a valid target name: letters, digits,")
      }
    }
  )

  it("of the greatest length is reached", async ({ box }) => {
    const name = "\u{20000}".repeat(62)
    const server = await box.listen([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--forward",
      `${name}=127.0.0.1:9`
    ])
    const { code, stderr } = await box.run(["pipe", "--to", server.address, "--target", name], {
      stdin: ""
    })
    // The target is known; nothing listens there.
    expect(code).toBe(5)
    expect(stderr).toContain("cannot connect to its target")
  })
})

describe("a server name", () => {
  it.for(letters)(
    "of the letter %s has at most 65,535 bytes for both sides",
    async (letter, { box }) => {
      const bytes = Buffer.byteLength(letter)
      const longest = Math.floor(65_535 / bytes)
      for (const command of ["serve", "tunnel"] as const) {
        expect(
          (await accepts(box, command, `server-name = "${letter.repeat(longest)}"`)).isAccepted
        ).toBe(true)
        const { isAccepted, stderr } = await accepts(
          box,
          command,
          `server-name = "${letter.repeat(longest + 1)}"`
        )
        expect([isAccepted, stderr.includes("a server name has at most 65,535 bytes")]).toEqual([
          false,
          true
        ])
      }
    }
  )
})
