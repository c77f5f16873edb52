import { isTransient, type CallError } from "../../../contract/errors.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { toPredecessor } from "../../checkpoints/capture.ts";
import * as journal from "../../sessions/journal.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import { emptyState } from "../../sessions/work-state.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import { acquireLease, releaseLease, incompleteRefusal, leaseRefusal } from "../incomplete/session-lease.ts";
import type { Reach } from "./reach.ts";

/**
 * Makes the session this chat's for all machines; a repetition completes one that was cut off.
 *
 * @returns the fencing token of the session's lease
 */
export async function takeOver(reach: Reach, row: SessionElsewhere): Promise<Result<number, CallError>> {
  const { link, call, runtime } = reach;
  const { device, id: session, machine } = row;
  const { self } = link;
  if (!self) {
    const message = "this chat is not registered in the workspace yet; call again in a moment";
    return err({ code: "not_registered", message });
  }
  const lease = await acquireLease(link, session);
  if (!lease.ok) {
    const { code, message, holder } = lease.error;
    if (code === "lease_held") return err(leaseRefusal(session, machine, holder));
    const why = `${session} was not taken, since the coordinator of the workspace did not answer (${message}). Nothing has changed; call again.`;
    return err({ code, message: why });
  }
  const taken = await call("sync.take", { self, device, session, token: lease.value });
  if (!taken.ok) {
    if (!isTransient(taken.error)) await releaseLease(link, session, lease.value);
    return err(incompleteRefusal(session, machine, taken.error));
  }
  const at = runtime.now();
  const successor = self.chat;
  runtime.store.write((sql) => {
    const state = elsewhere.findState(sql, row) ?? emptyState;
    elsewhere.setTakeover(sql, row, { chat: successor, machine: reach.machine, at });
    if (!recoveries.isTaken(sql, session, successor))
      recoveries.add(sql, { at, session, action: "taken", by: successor });
    const inheritedWork = toPredecessor({ session, state });
    journal.append(sql, successor, at, `continues:${session}`, { kind: "continues", ...inheritedWork });
  });
  return ok(lease.value);
}

/** For all machines: the session has no successor any more. */
export async function giveBack({ runtime, call }: Reach, row: SessionElsewhere): Promise<Result<boolean, CallError>> {
  const { device, id: session } = row;
  const given = await call("sync.give-back", { device, session });
  if (!given.ok && given.error.code !== "unknown_key") return given;
  runtime.store.write((sql) => {
    elsewhere.setTakeover(sql, row, null);
    recoveries.add(sql, { at: runtime.now(), session, action: "undone" });
  });
  return ok(true);
}
