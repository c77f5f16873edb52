import { refusal, type ClientRefusal } from "./client-files.ts";
import { formatOf } from "./client-formats.ts";
import { serverName } from "./entries.ts";
import { toEdit, type FileEdit, type FileText } from "./file-edits.ts";
import type { Launch } from "../platform/launch.ts";
import type { ClientTarget } from "./targets.ts";

export function nameTaken(path: string): ClientRefusal {
  const text = `has another MCP server named "${serverName}". Rename or remove that one and try again; nothing was changed.`;
  return refusal("name_taken", path, text);
}

export function serverEdit(file: FileText, target: ClientTarget, launch: Launch): FileEdit | null {
  const after = formatOf(target.client).servers.add(file.text, launch);
  return toEdit(file, after, serverSummary(file, target, after));
}

/** Empty where nothing changes. */
export function serverSummary({ text }: FileText, { client }: ClientTarget, after: string): string[] {
  if (after === text) return [];
  const verb = formatOf(client).servers.ours(text).length > 0 ? "corrects" : "adds";
  return [`${verb} the MCP server "${serverName}"`];
}
