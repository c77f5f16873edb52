import type * as z from "zod";
import type { syncOperations } from "../../contract/sync.ts";
import type { Result } from "../../shared/result.ts";
import type { CallError } from "../../coordinator-client/chat-link.ts";

type SyncName = keyof typeof syncOperations;

export interface SyncError extends CallError {
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

export type SyncInput<Name extends SyncName> = z.input<(typeof syncOperations)[Name]["input"]>;
export type SyncOutput<Name extends SyncName> = z.output<(typeof syncOperations)[Name]["output"]>;

export type SyncCall = <Name extends SyncName>(
  name: Name,
  input: SyncInput<Name>,
) => Promise<Result<SyncOutput<Name>, SyncError>>;
