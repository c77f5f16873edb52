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

export function serverEdit(file: FileText, { client }: ClientTarget, launch: Launch): FileEdit | null {
  const { servers } = formatOf(client);
  const verb = servers.ours(file.text).length > 0 ? "corrects" : "adds";
  return toEdit(file, servers.add(file.text, launch), [`${verb} the MCP server "${serverName}"`]);
}
