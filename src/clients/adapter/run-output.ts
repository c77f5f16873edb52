import { parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { TokenCounts } from "../transcript/token-counts.ts";

export interface EndEvent {
  readonly kind: "ended";
  readonly subtype: string;
  readonly isError: boolean;
  readonly terminalReason: string | null;
  /** Its answer or error; "" where the last texts are its answer. */
  readonly text: string;
  readonly turns: number;
  readonly refused: number;
  /** Includes sub-agents and side requests. */
  readonly tokens: number | null;
  readonly costUsd: number | null;
  /** Whether tokens and cost cover only the time since the previous end. */
  readonly isPart: boolean;
}

export type RunEvent =
  /** `permissions`: null where the client names none. */
  | {
      readonly kind: "begun";
      readonly session: string;
      readonly model: string | null;
      readonly permissions: string | null;
    }
  /** A response of the API. */
  | {
      readonly kind: "response";
      readonly id: string;
      readonly model: string | null;
      readonly counts: TokenCounts;
      /** False for those of sub-agents. */
      readonly isOwn: boolean;
      readonly problem: Problem | null;
    }
  /** Tokens of the response that is arriving for a caller. */
  | {
      readonly kind: "counted";
      readonly parent: string;
      readonly id: string | null;
      readonly counts: TokenCounts;
    }
  /** `isPart`: it continues the text before it. */
  | { readonly kind: "text"; readonly text: string; readonly isPart: boolean }
  | { readonly kind: "tool"; readonly name: string; readonly input: unknown }
  /** A report of the client on itself. */
  | { readonly kind: "note"; readonly text: string }
  /** `resetsAtMs`: end of the usage limit, epoch ms. */
  | { readonly kind: "limited"; readonly resetsAtMs: number | null }
  | EndEvent;

/** Cause of an error of the API. `machine`: its account or login; `request`: what was asked. */
export type Problem = "machine" | "model" | "service" | "request" | "unknown" | "other";

/** Lines that a client prints in a run without a terminal. */
export interface RunOutput {
  /** Options that make the client print it. */
  readonly args: readonly string[];
  /** Never throws; unknown kinds give no event. @returns null: no JSON object */
  read(line: string): readonly RunEvent[] | null;
}

/** Runs in sessions of SHIM's choice. */
export interface DrivenRun {
  /**
   * @param own further arguments
   * @param files by which it gets SHIM's server and hooks
   */
  args(own: readonly string[], files: DrivenFiles, session: string, isResumed: boolean): string[];
  /** Text on stdin, which stays open. */
  input(prompt: string): string;
  /** Line on stdin that interrupts it, instead of INT. */
  readonly interruptLine: string;
}

export interface DrivenFiles {
  readonly mcpConfig: string;
  readonly settings: string;
}

type Readers = Readonly<Record<string, (event: JsonObject) => RunEvent[]>>;

/** @param readers by the type of a line. @param skipped mark of lines that none of them needs */
export function runOutput(args: readonly string[], readers: Readers, skipped: string | null = null): RunOutput {
  const readerOf = new Map(Object.entries(readers));
  return {
    args,
    read: (line) => {
      if (line.trim() === "" || (skipped !== null && line.includes(skipped))) return [];
      const event = parseObject(line);
      return event && (readerOf.get(textAt(event, "type", 40) ?? "")?.(event) ?? []);
    },
  };
}

export function beginEvents(
  session: string | null,
  model: string | null,
  permissions: string | null = null,
): RunEvent[] {
  return session === null ? [] : [{ kind: "begun", session, model, permissions }];
}

export function toolEvent(name: string | null, input: unknown): RunEvent {
  return { kind: "tool", name: name ?? "a tool", input };
}

/** @param failure null for a good end */
export function endEvent(failure: string | null, tokens: number | null = null): EndEvent {
  return {
    kind: "ended",
    subtype: failure === null ? "success" : "error",
    isError: failure !== null,
    terminalReason: null,
    text: failure ?? "",
    turns: 1,
    refused: 0,
    tokens: tokens === null ? null : Math.floor(tokens),
    costUsd: null,
    isPart: false,
  };
}
