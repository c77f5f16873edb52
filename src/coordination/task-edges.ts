import type { Refusal } from "../contract/errors.ts";
import type { NewTask } from "../contract/tasks.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { sorted } from "./task-graph.ts";
import * as rows from "./task-rows.ts";

/** References between tasks: what one depends on, and what it is a part of. */

/** A task of the submit with its number: its own, or that of the known one that stands for it. */
export interface Planned {
  readonly input: NewTask;
  readonly task: number;
  readonly isDuplicate: boolean;
}

const mostDeep = 100;

export interface Edges {
  /** By the number of each new task: the numbers that it names. */
  readonly of: ReadonlyMap<number, readonly number[]>;
  /** How deep each new one stands, each behind those that it names. */
  readonly depths: ReadonlyMap<number, number>;
}

interface Kind {
  readonly verb: string;
  readonly referencesOf: (input: NewTask) => readonly (number | string)[];
  /** Of one that is stored; null: it is not known. */
  readonly depthOf: (task: number) => number | null;
}

/** [TA11] Each goes to a task that is known or to a new one of the same submit; there is no circle, and no chain above 100. */
export function edges(
  fresh: readonly Planned[],
  names: ReadonlyMap<string, number>,
  kind: Kind,
): Result<Edges, Refusal> {
  const places = new Map(fresh.map(({ task }, at) => [task, at]));
  const known = new Map<number, number>();
  const of = new Map<number, readonly number[]>();
  for (const { input, task } of fresh) {
    const others = new Set<number>();
    for (const reference of kind.referencesOf(input)) {
      const found = resolve(reference, names, places, (other) => known.get(other) ?? kind.depthOf(other));
      if (!found) return err(unknown(`${shown(input, task)} ${kind.verb}`, reference));
      if (found.depth !== null) known.set(found.other, found.depth);
      others.add(found.other);
    }
    of.set(task, [...others]);
  }
  const inside = fresh.map(({ task }) => (of.get(task) ?? []).flatMap((other) => places.get(other) ?? []));
  const result = sorted(inside);
  if ("circle" in result) return err(bad(`a circle: ${circle(fresh, result.circle, kind.verb)}`));
  return depthsOf(fresh, of, result.order, known, kind.verb);
}

/** The number that is meant, with its depth where it is stored. Numbers of this very submit nobody can know: they have names. */
function resolve(
  reference: number | string,
  names: ReadonlyMap<string, number>,
  places: ReadonlyMap<number, number>,
  depthOf: (task: number) => number | null,
): { other: number; depth: number | null } | null {
  const other = typeof reference === "string" ? names.get(reference) : reference;
  if (other === undefined) return null;
  if (typeof reference === "string" && places.has(other)) return { other, depth: null };
  const depth = depthOf(other);
  return depth === null ? null : { other, depth };
}

function unknown(who: string, reference: number | string): Refusal {
  if (typeof reference === "string") return bad(`${who} "${reference}", which is no ref of a task that is kept`);
  return { ...rows.unknown(reference), message: `${who} task ${reference}, which is not known, or no longer kept` };
}

function depthsOf(
  fresh: readonly Planned[],
  of: ReadonlyMap<number, readonly number[]>,
  order: readonly number[],
  known: ReadonlyMap<number, number>,
  verb: string,
): Result<Edges, Refusal> {
  const depths = new Map<number, number>();
  for (const at of order) {
    const one = fresh[at];
    if (!one) continue;
    const others = (of.get(one.task) ?? []).map((other) => depths.get(other) ?? known.get(other) ?? 0);
    const depth = others.length === 0 ? 0 : Math.max(...others) + 1;
    if (depth > mostDeep) {
      return err(bad(`${shown(one.input, one.task)} ${verb} a chain of more than ${mostDeep} tasks`));
    }
    depths.set(one.task, depth);
  }
  return ok({ of, depths });
}

function circle(fresh: readonly Planned[], places: readonly number[], verb: string): string {
  const names = places.map((at) => {
    const one = fresh[at];
    return one ? shown(one.input, one.task) : "";
  });
  return [...names, names[0]].join(` ${verb} `);
}

function shown({ ref, type }: NewTask, task: number): string {
  return ref === undefined ? `task ${task} (${type})` : `"${ref}"`;
}

export function bad(message: string): Refusal {
  return { code: "bad_input", message: `tasks.submit: ${message}` };
}
