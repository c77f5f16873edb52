import type { Command } from "commander";
import type { OutputOf } from "../../../contract/operations.ts";
import { age } from "../../../shared/format.ts";
import type { Cli, Columns } from "../../cli.ts";
import { linesView, tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";

export function addTokens(join: Command, cli: Cli): void {
  const token = join.command("token").description("tokens of machines (needs the workspace's admin token)");
  defineWork(cli, token, "create", {
    operation: "tokens.create",
    summary: "A token for one machine, shown once.",
    view: async ({ id, token: secret }, _cli, { input: { machine } }) => {
      const current = await cli.call("workspace.current", {});
      const { workspace = "<workspace>", url = "<url>" } = (current.ok && current.value.joined) || {};
      cli.progress(
        `Token ${id} for ${machine}, shown only now. On that machine, with the token on stdin: shim join ${workspace} --url ${url} < token`,
      );
      return `${secret}\n`;
    },
  });
  defineWork(cli, token, "list", {
    operation: "tokens.list",
    view: tableView({ rows: ({ tokens }) => tokens, columns: () => columns, empty: "No tokens." }),
  });
  defineWork(cli, token, "revoke", {
    operation: "tokens.revoke",
    args: ["id"],
    isAsked: false,
    view: linesView((_revoked, _cli, { input: { id } }) => [`${id} is revoked, and its connections are closed.`]),
  });
}

const columns: Columns<OutputOf<"tokens.list">["tokens"][number]> = {
  ID: ({ id }) => id,
  MACHINE: ({ machine }) => machine,
  SCOPE: ({ scope }) => scope,
  MADE: ({ ageMs }) => `${age(ageMs)} ago`,
  STATE: ({ isRevoked, expiresInMs }) => (isRevoked ? "revoked" : expiresInMs === 0 ? "over" : "good"),
  EXPIRES: ({ expiresInMs }) => (expiresInMs === null ? "never" : expiresInMs === 0 ? "-" : `in ${age(expiresInMs)}`),
};
