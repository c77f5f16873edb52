import { deadTasks } from "../notify/dead-tasks.ts";
import { Notifier } from "../notify/notifier.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { ChatTeam } from "./chat/late-team.ts";

export function openNotifier(runtime: Runtime, team: ChatTeam | null): Notifier {
  if (!team) return new Notifier({ runtime });
  return new Notifier({ runtime, deadTasks: deadTasks(runtime.now, () => team.reader()) });
}
