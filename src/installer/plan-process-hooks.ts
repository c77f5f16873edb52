import { err, ok, type Result } from "../shared/result.ts";
import type { Launch } from "../platform/launch.ts";
import type { ClientRefusal, ReadText } from "./client-files.ts";
import { formatOf, type ProcessHooks } from "./client-formats.ts";
import { loadSound, toEdit, type FileText, type Plan } from "./file-edits.ts";
import { nameTaken, serverEdit } from "./plan-servers.ts";
import { isNameTaken } from "./server-lists.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";

export interface HookTexts {
  readonly servers: FileText;
  readonly hooks: FileText;
}

/** [IN32] Plans the MCP server and a process for each event. Refuses unsound files. */
export function planProcessHooks(
  target: ClientTarget,
  hooks: ProcessHooks,
  launch: Launch,
  read: ReadText,
): Result<Plan, ClientRefusal> {
  const loaded = loadHookTexts(target, hooks, read);
  if (!loaded.ok) return loaded;
  const { servers, hooks: current } = loaded.value;
  const list = formatOf(target.client).servers;
  if (isNameTaken(list, servers.text)) return err(nameTaken(servers.path));
  const after = hooks.events.reduce(
    (text, event) => settings.withHandler(text, event, hooks.handler(launch, target.platform, event)),
    current.text,
  );
  const summary = settings.hooksSummary(current.text, after, hooks.events);
  const edits = [serverEdit(servers, target, launch), toEdit(current, after, [summary])];
  return ok({ action: "install", target, edits: edits.filter((edit) => edit !== null), notes: [] });
}

export function loadHookTexts(
  target: ClientTarget,
  { events }: ProcessHooks,
  read: ReadText,
): Result<HookTexts, ClientRefusal> {
  const servers = loadSound(read, target.serversFile, formatOf(target.client).servers.problem);
  if (!servers.ok) return servers;
  const hooks = loadSound(read, target.settingsFile, (text) => settings.shapeProblem(text, events));
  return hooks.ok ? ok({ servers: servers.value, hooks: hooks.value }) : hooks;
}
