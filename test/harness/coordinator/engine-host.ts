import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import type { SqlValue } from "#src/shared/sql.ts";

export type Answered<Name extends EngineOperation> = Result<OutputOf<Name>>;

export interface RuleHost {
  now(): number;
  wait(ms: number): void;
  /** One operation, by a token of machine "m1" with scope work unless another actor is given. */
  call<N extends EngineOperation>(name: N, input: InputOf<N>, actor?: Actor): Promise<Answered<N>>;
  ring(): Promise<number | null>;
  /** A connection of a chat is there, is heard (a ping), or was closed. */
  connect(chat: string): Promise<void>;
  ping(chat: string): Promise<void>;
  disconnect(chat: string): Promise<void>;
  /** All connections vanish without a close, as by a deploy; the host looks for them when it is next used. */
  loseConnections(): Promise<void>;
  /** Starts anew, where a host remembers anything between two requests. */
  restart?(): Promise<void>;
  rows<Row>(query: string, ...values: SqlValue[]): Promise<Row[]>;
  run(statement: string, ...values: SqlValue[]): Promise<void>;
  /** Rows that were inserted, updated or deleted so far, also where nothing about them changed. */
  rowsWritten(): Promise<number>;
  sweep(limit: number): Promise<string[]>;
  nextDue(): Promise<number | null>;
}

/** Where the rules of test/rules run: a file of the night names a host before it imports them; by day it is the engine in this process. */
export const ruleHost: {
  open?: () => Promise<RuleHost>;
  /** Where each operation goes over a wire, properties have at most so many runs. */
  mostRuns: number;
} = { mostRuns: 1_000 };

export const m1: Actor = { machine: "m1", isAdmin: false };
export const admin: Actor = { machine: "m1", isAdmin: true };
