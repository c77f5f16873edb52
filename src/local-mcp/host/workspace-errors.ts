import { isBadInput, isRefusal, isTransient, type CallError, type StoreErrorCode } from "../../contract/errors.ts";
import { badInputText } from "../../shared/problems.ts";
import type { HostError } from "./host.ts";

/** @param where what did not answer */
export function toHostError(error: CallError, where: string): HostError {
  const { code, message, retryAfterMs } = error;
  if (isStoreError(code)) return { code, message };
  if (!isRefusal(error)) {
    const lost = `${where} did not answer: ${message}`;
    return { code: "edge_unreachable", message: lost, isTransient: isTransient(error) };
  }
  if (isBadInput(error)) return { code, message: badInputText(message) };
  const retryText = retryAfterMs === undefined ? "" : ` (again in ${Math.ceil(retryAfterMs / 1_000)} s)`;
  return { code, message: `${message}${retryText}`, isTransient: isTransient(error) };
}

function isStoreError(code: CallError["code"]): code is StoreErrorCode {
  return code.startsWith("store_");
}
