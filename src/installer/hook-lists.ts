import type { ClientFiles } from "../clients/client-files.ts";
import { shellHookOf, shellWord, type Launch } from "../platform/launch.ts";
import { isOurHook, shell } from "./entries.ts";
import * as json from "./json-text.ts";
import * as settings from "./settings-edits.ts";

/** The hooks in a client's file, one process for each event. Texts must be sound. */
export interface HookList {
  readonly events: readonly string[];
  /** In words; null for a sound text. */
  readonly problem: (text: string) => string | null;
  /** Whether the file has SHIM's own name, and something else in it. */
  readonly isTaken: (text: string) => boolean;
  /** SHIM's handlers of an event. */
  readonly handlers: (text: string, event: string) => unknown[];
  /** [IN5] Corrects entries of SHIM in place; the user's own stay unchanged. */
  add(text: string, launch: Launch, platform: NodeJS.Platform): string;
  /** @param original the file before SHIM */
  remove(text: string, original: string): string;
}

type MakeHandler = (command: string, event: string) => settings.Handler;

/** Claude Code's form: groups of handlers below each event. */
export function groupedHooks(client: string, events: readonly string[], handler: MakeHandler): HookList {
  return {
    events,
    problem: (text) => settings.shapeProblem(text, events),
    isTaken: () => false,
    handlers: settings.ourHandlers,
    add: (text, launch, platform) =>
      events.reduce((rest, event) => {
        const made = handler(hookCommandLine(launch, platform, event, client), event);
        return settings.withHandler(rest, event, made);
      }, text),
    remove: (text, original) => settings.removeHooks(text, original, events),
  };
}

/** Handlers directly below each event, and the number of the format. */
export function listedHooks(client: string, events: readonly string[], handler: MakeHandler): HookList {
  return {
    events,
    problem: (text) => settings.shapeProblem(text, events),
    isTaken: () => false,
    handlers: (text, event) => listed(text, event).map((at) => json.valueAt(text, ["hooks", event, at])),
    add: (text, launch, platform) =>
      events.reduce(
        (rest, event) => withListed(rest, event, handler(hookCommandLine(launch, platform, event, client), event)),
        json.valueAt(text, ["version"]) === undefined ? json.set(text, ["version"], 1) : text,
      ),
    remove(text, original) {
      const rest = events.reduce((left, event) => withoutListed(left, event, original), text);
      if (rest === text) return text;
      const emptied = settings.removeIfEmptied(rest, ["hooks"], original);
      const isShims =
        json.valueAt(emptied, ["hooks"]) === undefined && json.valueAt(original, ["version"]) === undefined;
      return isShims ? json.remove(emptied, ["version"]) : emptied;
    },
  };
}

function listed(text: string, event: string): number[] {
  const handlers = json.valueAt(text, ["hooks", event]);
  if (!Array.isArray(handlers)) return [];
  return handlers.flatMap((handler: unknown, at) => (isOurHook(handler, event) ? [at] : []));
}

function withListed(text: string, event: string, handler: settings.Handler): string {
  const [first, ...others] = listed(text, event);
  if (first === undefined) return json.append(text, ["hooks", event], handler);
  const single = others.toReversed().reduce((rest, at) => json.remove(rest, ["hooks", event, at]), text);
  return settings.updateCommand(single, ["hooks", event, first], { command: handler.command, args: [] });
}

function withoutListed(text: string, event: string, original: string): string {
  const rest = listed(text, event)
    .toReversed()
    .reduce((left, at) => json.remove(left, ["hooks", event, at]), text);
  return rest === text ? text : settings.removeIfEmptied(rest, ["hooks", event], original);
}

type OwnFile = Extract<ClientFiles["hooks"], { form: "own" }>;

/** A file that is SHIM's alone. */
export function ownHooks(client: string, events: readonly string[], file: OwnFile): HookList {
  return {
    events,
    problem: () => null,
    isTaken: (text) => text !== "" && !isOwn(text),
    handlers: (text) => (isOwn(text) ? [{ command: commandIn(text) }] : []),
    add: (_text, launch, platform) =>
      file.text({ ...launch, commandOf: (event) => hookCommandLine(launch, platform, event, client) }),
    remove: () => "",
  };
}

const scriptIn = /(?<![^"'\s])[^"'\s]+(?:(?:dist[\\/]+hook|shim-hook)\.[cm]?js|\/dist\/shim-hook(?=['\s]))/;

function isOwn(text: string): boolean {
  return scriptIn.test(text);
}

/** The path of the hook program, which both forms of file hold as text. */
function commandIn(text: string): string {
  const script = scriptIn.exec(text)?.[0] ?? "";
  return JSON.parse(`"${script}"`) as string;
}

/** [HO70] */
export function hookCommandLine(launch: Launch, platform: NodeJS.Platform, event: string, client: string): string {
  const { node, hookScript } = launch;
  const start =
    platform === "win32" ? [`"${node}"`, `"${hookScript}"`] : [shell, shellHookOf(launch), node].map(shellWord);
  return [...start, event, "--client", client].join(" ");
}
