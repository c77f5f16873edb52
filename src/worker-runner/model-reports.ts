import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";

/**
 * [RT25] A coordinator of an earlier version refuses a request that names the model of an attempt:
 * it gets the same request without, and later ones too.
 */
export function withModelReports(link: CoordinatorClient): Pick<CoordinatorClient, "call"> {
  let isRefused = false;
  return {
    async call(name, input, deadlineMs) {
      const { ran, ...rest } = input as typeof input & { readonly ran?: unknown };
      // The rest has all fields that an earlier version knows.
      const plain = rest as typeof input;
      if (ran === undefined || isRefused) return link.call(name, plain, deadlineMs);
      const answer = await link.call(name, input, deadlineMs);
      if (answer.ok || answer.error.code !== "bad_input") return answer;
      const repeated = await link.call(name, plain, deadlineMs);
      isRefused = repeated.ok;
      return repeated;
    },
  };
}
