// One process of a contestant: `node child.js SIDE JOB`. It answers the calls of its parent.
import { cpuOfPrograms } from "./programs.ts"
import { sides } from "./sides.ts"
import type { Figures, Job } from "./Side.ts"

export type Call =
  | { readonly do: "serve"; readonly amount: number }
  | { readonly do: "run"; readonly port: number; readonly amount: number }
  | { readonly do: "cpu" }
  | { readonly do: "memory" }

const [name = "", job = ""] = process.argv.slice(2)
const work = (await sides[name]?.side())?.[job as Job]
if (work === undefined) throw new Error(`${name} does not implement ${job}`)

const answer = async (call: Call): Promise<Figures> => {
  switch (call.do) {
    case "serve":
      return { port: await work.serve(call.amount) }
    case "run":
      return work.run(call.port, call.amount)
    case "cpu": {
      const { user, system } = process.cpuUsage()
      const programs = cpuOfPrograms()
      return { cpu: (user + system) / 1e6 + programs, programs }
    }
    case "memory": {
      for (let times = 0; times < 3; times++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        globalThis.gc?.()
      }
      const { rss, heapUsed, external } = process.memoryUsage()
      return { rss: rss / 1024, heap: (heapUsed + external) / 1024 }
    }
  }
}

process.on("message", (call: Call) => {
  answer(call).then(
    (figures) => process.send?.({ figures }),
    (error: unknown) => process.send?.({ error: String(error) })
  )
})
// An orderly exit writes the profile.
process.on("disconnect", () => process.exit())
