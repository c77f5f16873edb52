import { err, ok, type Result } from "../shared/result.ts";
import { refusal, type ClientRefusal, type ReadText } from "./client-files.ts";
import type { ClientTarget } from "./targets.ts";
import type { TelemetryRequest } from "./telemetry-settings.ts";

export interface FileEdit {
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly summary: readonly string[];
  /** Made for a file that is deleted, outermost first; the empty ones go with it. */
  readonly folders?: readonly string[];
}

export interface Plan {
  readonly action: "install" | "uninstall";
  readonly target: ClientTarget;
  readonly edits: readonly FileEdit[];
  readonly notes: readonly string[];
}

export interface PlanContext {
  /** SHIM's own config.json; keeps the user's status line while SHIM's replaces it. */
  readonly shimConfig: string;
  readonly read: ReadText;
  readonly claudeVersion: string | null;
  readonly wantsTodoTools?: boolean;
  /** [IN81] Whether the client is to run SHIM's harmless tools without asking. */
  readonly allowsTools?: boolean;
  /** Undefined: the telemetry stays as it is. */
  readonly telemetry?: TelemetryRequest | undefined;
}

export interface FileText {
  readonly path: string;
  /** Null if there is no file. */
  readonly before: string | null;
  readonly text: string;
}

/** @param path null: the client has no such file */
export function loadSound(
  read: ReadText,
  path: string | null,
  problemIn: (text: string) => string | null,
): Result<FileText, ClientRefusal> {
  if (path === null) return ok({ path: "", before: null, text: "" });
  const file = read(path);
  if (!file.ok) return file;
  const text = file.value ?? "";
  const problem = problemIn(text);
  return problem === null ? ok({ path, before: file.value, text }) : err(refusal("config_unsound", path, problem));
}

export function toEdit({ path, before }: FileText, after: string | null, summary: readonly string[]): FileEdit | null {
  return before === after || (before === null && after === "") ? null : { path, before, after, summary };
}
