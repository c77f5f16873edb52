import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import { coordinatorPath } from "../../machine/context/operation-wire.ts";
import { pathsIn } from "../../platform/paths.ts";
import { CallLostError, type LocalCalls } from "../../runtime/runtime.ts";
import { isRead } from "../../shared/check-input.ts";
import { messageOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";
import type { Result } from "../../shared/result.ts";
import { StoreError, toStoreError } from "../../store/store-error.ts";
import { callHost, stayConnected } from "./host-client.ts";
import { type HostHome, NoHostError } from "./reach-host.ts";

/**
 * The coordinator in the host, for a process beside it.
 *
 * @param hasFile false: nothing is stored yet, and a read starts no host
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
        return result as unknown as Result<OutputOf<Name>>;
      } catch (error) {
        if (!(error instanceof NoHostError)) throw new CallLostError(messageOf(error), true);
        const cause = toStoreError(error.cause, pathsIn(home.home).database);
        const isReadOnly = cause instanceof StoreError && cause.code === "store_readonly";
        throw isReadOnly ? cause : new CallLostError(messageOf(error), false);
      }
    },
    onCommit(listener) {
      const onCoordinated = { caller, listener };
      // A call says what is wrong.
      void stayConnected(home, { onCoordinated, onProblem: () => undefined, until: end.signal });
      return () => end.abort();
    },
    close: () => end.abort(),
  };
}
