import { range } from "../figures.ts";
import { payload, perSubmit } from "../tasks/sizes.ts";
import type { Self, Workspace } from "./workspace.ts";

/** Of stored tasks: those that are done, and wait for the end of their retention. */
export const doneShare = 0.9;
const perClaim = 50;

/** What all these tasks have: a project is a tag, as no field of a task names it. */
export interface Kind {
  readonly type: string;
  readonly tags: string[];
}

export function submitTasks(workspace: Workspace, count: number, kind: Kind): void {
  for (let from = 0; from < count; from += perSubmit) {
    const tasks = range(Math.min(perSubmit, count - from), (n) => ({ ...kind, payload: payload(from + n) }));
    workspace.call("tasks.submit", { tasks });
  }
}

/** Claims and acknowledges `count` tasks of a type, fifty in each event. */
export function doTasks(workspace: Workspace, self: Self, count: number, type: string): void {
  for (let done = 0; done < count;) {
    done += workspace.event(() => {
      const claim = { self, requestId: `${type}-${done}`, limit: Math.min(perClaim, count - done), types: [type] };
      const { claims } = workspace.part("tasks.claim", claim);
      if (claims.length === 0) throw new Error("no task came");
      const acks = claims.map(({ task, claim }) => ({ self, task, claim, result: { isDone: true } }));
      workspace.parts("tasks.ack", acks);
      return claims.length;
    });
  }
}

/** One task from its submit to its end: three events. */
export function oneTask(workspace: Workspace, self: Self, kind: Kind, n: number): void {
  workspace.call("tasks.submit", { tasks: [{ ...kind, payload: payload(n) }] });
  const [claimed] = workspace.call("tasks.claim", { self, requestId: `c${n}`, limit: 1, types: [kind.type] }).claims;
  if (!claimed) throw new Error("no task came");
  workspace.call("tasks.ack", { self, task: claimed.task, claim: claimed.claim, result: n });
}

/** Two events. */
export function oneLease(workspace: Workspace, self: Self, resource: string, n: number): void {
  const granted = workspace.call("leases.acquire", { self, resource, requestId: `l${n}` });
  if (granted.state === "granted") workspace.call("leases.release", { self, resource, token: granted.lease.token });
}
