import * as z from "zod";
import { effectKindNames, effectOutcomes } from "../effects.ts";
import { declare } from "../operation.ts";
import { Folder, IdPrefix, idErrors, Named, flag } from "./operation.ts";

const ListedEffect = Named.extend({
  /** When its call began. */
  at: z.int(),
  kind: z.enum(effectKindNames),
  /** Words for the kind. */
  does: z.string(),
  /** The command as it ran, redacted, with where it ran and on what. */
  text: z.string(),
  outcome: z.enum(effectOutcomes),
  /** With the reason: why it is not known, or how it failed. */
  outcomeText: z.string(),
  /** Command by which a person finds out; null: SHIM knows none. */
  check: z.string().nullable(),
  /** Comparison; null: none was asked for, or there is no way. `isThere` null: open. */
  found: z.object({ isThere: z.boolean().nullable(), text: z.string() }).nullable(),
});
export type ListedEffect = z.infer<typeof ListedEffect>;

export const effectOperations = {
  "effects.list": declare("caller", "read", {
    summary: "What chats did that cannot be undone, newest first: pushes, publishes, deployments and the like.",
    input: z.strictObject({
      session: IdPrefix.optional().describe("only of this session, and of those that it continues"),
      project: Folder.optional().describe("only of this project"),
      check: flag("ask the git remote, npm, GitHub or GitLab, within 15 seconds each"),
      limit: z.int().min(1).max(1_000).default(20).describe("at most this many"),
    }),
    output: z.object({ effects: z.array(ListedEffect) }),
    errors: idErrors,
    surfaces: ["page"],
    example: { session: "5f0e0e5e" },
  }),
};
