// Limits the resources that a slow or unreachable collector can cost.
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Limits of the requests to a collector. */
export const limits = {
  /** Longest wait for a response. Then the data of the request is lost. */
  responseTimeout: "10 seconds",
  /**
   * Concurrent requests, each with at most 1,000 spans or log lines. Further ones fail, and the
   * exporter pauses for a minute.
   */
  requests: 8
} as const

/** Applies the limits to the HttpClient of the context. */
export const bounded: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      let active = 0
      return HttpClient.transform(client, (response, request) => {
        const refused = (description: string) =>
          new HttpClientError.RequestError({ request, reason: "Encode", description })
        return Effect.suspend(() => {
          if (active >= limits.requests)
            return Effect.fail(refused("too many requests to the collector"))
          active++
          return response.pipe(
            Effect.timeoutFail({
              duration: limits.responseTimeout,
              onTimeout: () => refused("no response from the collector")
            }),
            Effect.ensuring(Effect.sync(() => void active--))
          )
        })
      })
    })
  )
