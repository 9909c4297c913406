// A collector that hangs holds up nothing, and costs no more memory than this.
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const limits = {
  /** How long the collector may take to answer; beyond, what it was told is lost. */
  answer: "10 seconds",
  /** Requests at once, each of at most 1,000 spans or log lines; beyond, they fail and the exporter pauses for a minute. */
  requests: 8
} as const

/** The HttpClient that is there, within these limits. */
export const bounded: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      let under = 0
      return HttpClient.transform(client, (answer, request) => {
        const refused = (description: string) =>
          new HttpClientError.RequestError({ request, reason: "Encode", description })
        return Effect.suspend(() => {
          if (under >= limits.requests) return Effect.fail(refused("the collector is behind"))
          under++
          return answer.pipe(
            Effect.timeoutFail({
              duration: limits.answer,
              onTimeout: () => refused("the collector does not answer")
            }),
            Effect.ensuring(Effect.sync(() => void under--))
          )
        })
      })
    })
  )
