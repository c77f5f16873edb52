import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { messageHintRules } from "../../rules/message-rows.ts";
import { taskHintRules } from "../../rules/task-rows.ts";
import { chatSuites, rowSuites, stateSuites, syncSuites, taskSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

const open = (): Promise<LocalHost> => Promise.resolve(new LocalHost(openBetterSqlite3));

for (const rules of [chatSuites, rowSuites, stateSuites, taskSuites, syncSuites, messageHintRules, taskHintRules])
  rules(open);
