import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import type { CallError } from "../../contract/errors.ts";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import { CallLostError, type LocalCalls } from "../../runtime/local-calls.ts";
import { messageOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { isRead } from "../../shared/check-input.ts";
import type { Result } from "../../shared/result.ts";
import { attend } from "./machine-host.ts";
import { coordinatorPath } from "./operation-wire.ts";
import { callHost } from "./ask-host.ts";
import { NoHostError, type HostHome } from "../front/reach-host.ts";

/**
 * The coordinator in the host, for a process beside it.
 *
 * @param hasFile false: nothing is stored yet, and [EM8] a read starts no host
 * @param empty answers reads then
 */
export function hostCalls(home: HostHome, hasFile: () => boolean, empty: () => LocalCalls): LocalCalls {
  const end = new AbortController();
  const caller = randomUUID();
  const path = (name: string): string => `${coordinatorPath}${name}?caller=${caller}`;
  return {
    async call<Name extends OperationName>(name: Name, input: InputOf<Name>, timeoutMs: number) {
      if (isRead(name) && !hasFile()) return empty().call(name, input, timeoutMs);
      const signal = AbortSignal.any([end.signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
      try {
        const answer = await callHost(home, { method: "POST", path: path(name), body: input, signal });
        const result = parseObject(await text(answer));
        if (result === null) throw new Error("the host's answer is not whole");
        return result as unknown as Result<OutputOf<Name>, CallError>;
      } catch (error) {
        throw new CallLostError(messageOf(error), !(error instanceof NoHostError));
      }
    },
    onCommit(listener) {
      const onCoordinated = { caller, listener };
      // A call says what is wrong.
      void attend(home, { onCoordinated, onProblem: () => undefined, until: end.signal });
      return () => end.abort();
    },
    close: () => end.abort(),
  };
}
