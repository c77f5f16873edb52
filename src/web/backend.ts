import type { LiveLine, PageOperation } from "../contract/live-page.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../contract/machine/operations.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";

export interface Refused {
  readonly code: string;
  readonly message: string;
}

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Refused };

export type CallName = PageOperation | MachineOperationName;
type Inputs = { readonly [Name in PageOperation]: Omit<InputOf<Name>, "requestId"> } & {
  readonly [Name in MachineOperationName]: MachineInput<Name>;
};
type Outputs = { readonly [Name in PageOperation]: OutputOf<Name> } & {
  readonly [Name in MachineOperationName]: MachineOutput<Name>;
};
export type CallInput<Name extends CallName> = Inputs[Name];
export type CallOutput<Name extends CallName> = Outputs[Name];

export type OnChange = (changed: LiveLine["changed"]) => void;

/** Whether what is shown is the newest, and actions are possible. */
export type LinkState =
  | { readonly isLive: true }
  | {
      readonly isLive: false;
      /** When it last was, epoch ms by this browser; null: not since the page was opened. */
      readonly since: number | null;
      /** A sentence without its full stop. */
      readonly why: string;
    };
export type OnState = (state: LinkState) => void;

/** The process behind the page: this machine's, the Worker, or for a phone its machine's. */
export interface Backend {
  readonly kind: "machine" | "edge" | "phone";
  /** Whether its user may answer requests and write to chats. */
  readonly canAnswer: boolean;
  /** @param requestId of an action; a repeat under it happens once */
  call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    requestId?: string,
  ): Promise<Answer<CallOutput<Name>>>;
  /** Reports what may have changed, and each change of the connection, until `end`. */
  follow(onChange: OnChange, onState: OnState, end: AbortSignal): void;
  /** Why nothing can be done with a session now; null: it can. Absent: the connection decides. */
  readonly troubleOf?: (session: string) => string | null;
  signOut(): Promise<void>;
}

export function refused(code: string, message: string): Answer<never> {
  return { ok: false, error: { code, message } };
}

/** Reads an answer of either backend: a value, or `{error: {code, message}}`. */
export async function toAnswer<T>(response: Response): Promise<Answer<T>> {
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return { ok: true, value: body as T };
  const { error } = (body ?? {}) as { error?: Refused };
  return refused(error?.code ?? "internal", error?.message ?? `the answer was ${response.status}`);
}
