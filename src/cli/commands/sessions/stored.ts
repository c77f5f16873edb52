import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { View } from "../../views.ts";
import { localTime } from "../../times.ts";

/** [CL22] */
export const storedView: View<MachineOutput<"sessions.stored">> = ({ session, copies, ...tables }, cli) => {
  const fields = Object.entries(session).map(([name, value]) => `${name}: ${fieldText(name, value)}`);
  const sections = Object.entries(tables).map(([name, rows]) => section(name, rows.map(rowText)));
  const hints = [
    "content of a checkpoint: `shim sessions show <id>`",
    `copies: ${copies.backups} backups may hold the same; \`shim sessions forget ${session.id}\` deletes all of it`,
  ].map((line) => cli.format(line));
  return [section("session", fields), ...sections, ...hints, ""].join("\n");
};

function section(name: string, lines: readonly string[]): string {
  const head = `${name} (${lines.length})`;
  return [head, ...lines.map((line) => `  ${line.replaceAll("\n", "\n    ")}`)].join("\n");
}

function rowText({ at, text, ...row }: { readonly at: number; readonly text?: unknown }): string {
  return `${localTime(at)} ${typeof text === "string" ? text : JSON.stringify(row)}`;
}

function fieldText(name: string, value: unknown): string {
  if (name.endsWith("At") && typeof value === "number") return localTime(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
