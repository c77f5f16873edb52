import type { ComponentType } from "preact";
import { DeadView } from "./dead.tsx";
import { ExperimentsView } from "./experiments.tsx";
import { FilesView } from "./files.tsx";
import { HealthView } from "./health.tsx";
import { MessagesView } from "./messages.tsx";
import { PlanView } from "./plan.tsx";
import { TaskView } from "./task.tsx";
import { TasksView } from "./tasks.tsx";

/** The views for a team, which the page loads together: alone each would be a file or two more. */
export const teamViews = {
  tasks: TasksView,
  task: TaskView,
  files: FilesView,
  dead: DeadView,
  messages: MessagesView,
  plan: PlanView,
  experiments: ExperimentsView,
  health: HealthView,
} satisfies Record<string, ComponentType<{ readonly id: string }>>;
