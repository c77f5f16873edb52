import type { IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../../shared/error.ts";
import { callHost } from "./ask-host.ts";
import { askOperation, type Hearing } from "./ask-operation.ts";
import type { HostHome } from "../front/reach-host.ts";
import type { HostResult } from "./host.ts";
import type { AskedOperation } from "./operation-wire.ts";

/** Time between two tries to reach a host, in ms. */
const retryEveryMs = 5_000;

/** Letters that the host writes to a program that attends: notifications, and commits. */
export const attention = { bell: "b", stored: "s", coordinated: "c" } as const;

export interface Attendance {
  /** Called for each notification; absent: nothing rings. */
  readonly ring?: () => void;
  /** Called after commits of the store, and when some may have been missed; absent: for none. */
  readonly onStored?: () => void;
  /** The same for commits of the coordinator that `caller` has not asked for. */
  readonly onCoordinated?: { readonly caller: string; readonly listener: () => void };
  readonly onProblem: (message: string) => void;
  readonly until: AbortSignal;
}

/** The host of a machine, as its other programs see it; it is started where none runs. */
export interface MachineHost {
  /** Does an operation there; bugs throw. */
  call(asked: AskedOperation, hearing: Hearing): Promise<HostResult<unknown>>;
  /** Keeps a host running while this program does; never rejects. */
  attend(attendance: Attendance): Promise<void>;
}

export function machineHostOf(home: HostHome): MachineHost {
  return {
    call: (asked, hearing) => askOperation(home, asked, hearing),
    attend: (attendance) => attend(home, attendance),
  };
}

/** A host may end at any moment; the next one is started at once. */
export async function attend(
  home: HostHome,
  { ring, onStored, onCoordinated, onProblem, until }: Attendance,
): Promise<void> {
  const body = { isBell: ring !== undefined, isFollowing: onStored !== undefined, caller: onCoordinated?.caller };
  let hasFailed = false;
  while (!until.aborted) {
    try {
      const answer = await callHost(home, { method: "POST", path: "/attend", body, signal: until });
      if (answer.statusCode !== 200) throw new Error(`its answer to a program that attends is ${answer.statusCode}`);
      hasFailed = false;
      // Commits between two hosts are not reported.
      const onCommit = onCoordinated?.listener;
      for (const missed of [onStored, onCommit]) missed?.();
      await readLetters(answer, {
        [attention.bell]: ring,
        [attention.stored]: onStored,
        [attention.coordinated]: onCommit,
      });
    } catch (error) {
      if (until.aborted) return;
      if (!hasFailed) onProblem(`the host of this machine cannot be reached: ${messageOf(error)}`);
      hasFailed = true;
      await pause(retryEveryMs, undefined, { signal: until }).catch(() => undefined);
    }
  }
}

/** Resolves when the host has ended. */
async function readLetters(
  answer: IncomingMessage,
  listeners: Readonly<Record<string, (() => void) | undefined>>,
): Promise<void> {
  try {
    // Letters that come together stand for one moment.
    for await (const part of answer as AsyncIterable<Buffer>)
      for (const letter of new Set(part.toString())) listeners[letter]?.();
  } catch {
    // A host that is killed sends no end.
  }
}
