import * as z from "zod";

const text = z.string();
const at = z.number();
const count = z.int().min(0);

export const SentFiles = z.object({ bundle: text, checkpoint: text, at, sealedAt: at, digest: text, bytes: count });
export const NotSentFiles = z.object({ checkpoint: text, at, reason: text });
export type SentFiles = z.infer<typeof SentFiles>;
export type NotSentFiles = z.infer<typeof NotSentFiles>;

const commitId = z.string().check(z.regex(/^[0-9a-f]{40,64}$/));

/** Header of a bundle of files, the parts of which are pieces of a git bundle. */
export const FilesContent = SentFiles.extend({
  session: text,
  commit: commitId,
  parts: count,
  needs: z.array(commitId),
  leftOut: z.array(z.object({ path: text, reason: text })),
});
export type FilesContent = z.infer<typeof FilesContent>;
