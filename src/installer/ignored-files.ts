import { refusal, type ClientRefusal, type ReadText } from "./client-files.ts";
import { formatOf } from "./client-formats.ts";
import * as json from "./json-text.ts";
import type { ClientTarget } from "./targets.ts";

/** [IN24] The client's files that its own parser refuses, so that all of the file is ignored. */
export function findIgnoredFiles(target: ClientTarget, read: ReadText): ClientRefusal[] {
  const files = new Set([target.serversFile, target.settingsFile ?? target.serversFile]);
  return [...files]
    .filter((path) => path.endsWith(".json"))
    .flatMap((path) => {
      const text = read(path);
      const unread = text.ok ? json.findUnread(text.value ?? "", formatOf(target.client).reads) : null;
      const message = `has ${unread}, which ${target.label} does not read: it ignores the whole file until you remove them.`;
      return unread === null ? [] : [refusal("config_ignored", path, message)];
    });
}
