import type { Command } from "commander";
import * as z from "zod";
import { ok } from "../../shared/result.ts";
import type { Cli } from "../cli.ts";
import { completedShells, completionScript } from "../completion.ts";
import { define } from "../operation-command.ts";

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "completion", {
    input: z.strictObject({ shell: z.enum(completedShells) }),
    summary: "a script with which your shell completes the words of shim; its first line says where it goes",
    example: { shell: "bash" },
    args: ["shell"],
    run: ({ shell }) => {
      const script = completionScript(program, shell);
      return ok({ data: { script }, text: script, isVerbatim: true });
    },
  });
}
