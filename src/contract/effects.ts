/** Kinds of commands that cannot be undone, each with what it does in words for a person. */
export const effectKinds = {
  push: "changes a remote repository",
  publish: "publishes a package or an image",
  release: "makes or changes a release",
  deployment: "deploys, or changes infrastructure",
  migration: "changes a database",
  deletion: "deletes something remote",
  message: "sends or posts what others read",
} as const;
export type EffectKind = keyof typeof effectKinds;
export const effectKindNames = Object.keys(effectKinds) as EffectKind[];

/** A command that cannot be undone. The user adds more with `effects.commands`. */
export interface EffectCommand {
  /**
   * The program and its words in their order, `|` between alternatives, `*` as wildcard; for a
   * tool of an MCP server its name. Options may stand anywhere.
   */
  readonly words: string;
  readonly kind: EffectKind;
  /** Words with which it does nothing, in the same form. */
  readonly unless?: string | undefined;
  /** Words with which its target does it only once: a repetition changes nothing, or is refused. */
  readonly once?: string | undefined;
  /**
   * Command by which a person finds out. `{0}`: its program; `{1}`: the word behind those above;
   * `{before}`, `{behind}`: the words around the last of those; `{subject}`.
   */
  readonly check?: string | undefined;
}

/** Words with which no command of the table does anything. */
export const harmlessWords = "--dry-run*|--dryrun|--help|--version";

const scripts = "npm|pnpm|yarn|bun";

export const effectCommands: readonly EffectCommand[] = [
  { words: "git push -f*|--force*|-d|--delete|--mirror|--prune", kind: "push", unless: "-n|stash" },
  { words: "git push * +*|:*", kind: "push", unless: "-n|stash" },
  { words: "git push", kind: "push", unless: "-n|stash", once: "push" },
  { words: "jj git push", kind: "push" },
  { words: "hg push", kind: "push", unless: "-n" },
  {
    words: `${scripts}|lerna|changeset publish|unpublish`,
    kind: "publish",
    unless: "run|run-script|exec",
    once: "publish",
    check: "npm view {subject} version",
  },
  { words: "yarn npm publish", kind: "publish", once: "publish", check: "npm view {subject} version" },
  { words: "npm|pnpm deprecate|dist-tag", kind: "publish", unless: "ls" },
  { words: "cargo publish|yank", kind: "publish", unless: "-n|--list", once: "publish" },
  { words: "poetry|uv|flit|hatch|pdm|maturin publish", kind: "publish", once: "publish" },
  { words: "twine upload", kind: "publish", once: "upload" },
  { words: "gem push|yank", kind: "publish", once: "push" },
  { words: "mvn*|gradle*|gradlew* deploy|publish*", kind: "publish", unless: "publishToMavenLocal|-m|--dry-run" },
  { words: "dotnet|nuget nuget push", kind: "publish", once: "push" },
  { words: "docker|podman push", kind: "publish", check: "{0} manifest inspect {1}" },
  { words: "docker|podman image|manifest push", kind: "publish", check: "{0} manifest inspect {1}" },
  { words: "vsce|ovsx publish", kind: "publish", once: "publish" },
  { words: "mix hex.publish", kind: "publish" },
  { words: "dart|flutter pub publish", kind: "publish", unless: "-n" },
  { words: "pod trunk push", kind: "publish" },
  { words: "helm push", kind: "publish" },
  {
    words: "gh|glab release create|edit|upload",
    kind: "release",
    once: "create",
    check: "{0} release view {1}",
  },
  { words: "gh|glab release delete", kind: "release" },
  { words: "goreleaser release", kind: "release", unless: "--snapshot|--skip*publish*" },
  { words: "semantic-release|release-it", kind: "release", unless: "-d" },
  {
    words: "gh|glab pr|mr create|merge|close|comment|review|reopen|edit|ready|revert|update-branch",
    kind: "message",
    once: "create|merge",
    check: "gh pr list --state all",
  },
  {
    words: "gh|glab issue create|close|comment|delete|transfer|reopen|edit",
    kind: "message",
    check: "gh issue list --state all",
  },
  { words: "gh discussion create|comment|edit|close|delete", kind: "message" },
  { words: "gh api -x|--method delete", kind: "deletion", unless: "graphql" },
  { words: "gh api -x|--method post|put|patch", kind: "message", unless: "graphql" },
  { words: "gh api -f|--field|--raw-field|--input", kind: "message", unless: "graphql|get" },
  { words: "gh api graphql query=*mutation*", kind: "message" },
  { words: "gh workflow|run run|rerun|cancel|delete", kind: "deployment", check: "gh run list" },
  { words: "gh repo|gist|secret|variable|cache|label delete|remove|archive", kind: "deletion" },
  { words: "gh repo create|edit|rename|sync", kind: "push", once: "create" },
  { words: "gh secret|variable set", kind: "deployment" },
  { words: "mail|mailx|mutt|neomutt *", kind: "message" },
  { words: "sendmail|msmtp|swaks", kind: "message" },
  { words: "wrangler deploy|publish|rollback", kind: "deployment", check: "wrangler deployments list" },
  { words: "wrangler pages|versions deploy", kind: "deployment", check: "wrangler deployments list" },
  { words: "wrangler delete", kind: "deletion" },
  { words: "wrangler secret put|delete|bulk", kind: "deployment", check: "wrangler secret list" },
  { words: "wrangler r2|kv object|key|bulk put|delete", kind: "deployment", unless: "--local" },
  {
    words: "wrangler d1 execute * --remote insert*|update*|delete*|drop*|alter*|create*",
    kind: "migration",
  },
  {
    words: "wrangler d1 migrations|delete apply|*",
    kind: "migration",
    unless: "--local|list|create",
    once: "apply",
    check: "wrangler d1 migrations list {1}",
  },
  {
    words: "vercel|netlify deploy|promote|rollback|--prod",
    kind: "deployment",
    unless: "--build-only",
    check: "vercel ls",
  },
  { words: "firebase deploy", kind: "deployment" },
  { words: "fly|flyctl|railway|eas deploy|up|submit", kind: "deployment", check: "fly releases" },
  { words: "gcloud app|run|functions deploy", kind: "deployment" },
  {
    words: "sam|cdk|sst|serverless|sls|copilot|eb deploy|destroy|remove|up",
    kind: "deployment",
    unless: "--noexecute|--no-execute",
  },
  {
    words: "terraform|tofu apply",
    kind: "deployment",
    check: "{0} {before} plan -detailed-exitcode -input=false -lock=false -refresh=false {behind}",
  },
  { words: "terraform|tofu destroy", kind: "deployment", check: "{0} {before} state list" },
  { words: "terragrunt|pulumi apply|destroy|up", kind: "deployment" },
  { words: "kubectl|oc apply", kind: "deployment", check: "{0} {before} diff {behind}" },
  {
    words: "kubectl|oc create|replace|patch|scale|set|delete|drain",
    kind: "deployment",
    check: "{0} {before} get {1}",
  },
  { words: "kubectl|oc rollout restart|undo", kind: "deployment" },
  { words: "helm install|upgrade|uninstall|delete|rollback", kind: "deployment", check: "helm status {1}" },
  { words: "ansible-playbook *", kind: "deployment", unless: "--check|-c|--syntax-check|--list-*" },
  { words: "cap *", kind: "deployment", unless: "-n|-t" },
  { words: "kamal deploy|redeploy|rollback", kind: "deployment" },
  { words: "prisma migrate deploy|reset", kind: "migration", once: "deploy", check: "prisma migrate status" },
  { words: "prisma|supabase db push|reset", kind: "migration", unless: "--local", once: "push" },
  { words: "drizzle-kit migrate|push", kind: "migration", once: "migrate|push" },
  {
    words: "knex migrate:latest|migrate:up|migrate:down|migrate:rollback",
    kind: "migration",
    once: "migrate:latest",
    check: "knex migrate:status",
  },
  {
    words: "sequelize* db:migrate*|db:drop|db:seed*",
    kind: "migration",
    unless: "db:migrate:status",
    once: "db:migrate",
    check: "sequelize db:migrate:status",
  },
  {
    words: "typeorm* migration:run|migration:revert|schema:sync|schema:drop",
    kind: "migration",
    once: "migration:run",
    check: "typeorm migration:show",
  },
  {
    words: "alembic upgrade|downgrade",
    kind: "migration",
    unless: "--sql",
    once: "head|heads",
    check: "alembic current",
  },
  {
    words: "dbmate|flyway|goose|liquibase up|down|migrate|rollback*|undo|clean|drop|update",
    kind: "migration",
    once: "up|migrate|update",
  },
  {
    words: "rails|rake|mix db:migrate*|db:rollback|db:drop|db:reset|ecto.migrate|ecto.rollback|ecto.drop",
    kind: "migration",
    unless: "db:migrate:status",
    once: "db:migrate|ecto.migrate",
    check: "rails db:migrate:status",
  },
  {
    words: "manage.py|django-admin migrate|flush",
    kind: "migration",
    unless: "--plan|--check",
    once: "migrate",
    check: "python manage.py showmigrations",
  },
  {
    words: "artisan migrate*",
    kind: "migration",
    unless: "migrate:status|--pretend",
    once: "migrate",
    check: "php artisan migrate:status",
  },
  { words: "dotnet* ef database update|drop", kind: "migration", check: "dotnet ef migrations list" },
  { words: "aws s3 rm|rb|mv|sync|cp", kind: "deletion", unless: "cp|sync" },
  { words: "aws * delete-*|terminate-*", kind: "deletion" },
  { words: "gcloud|az|doctl|heroku * delete|destroy", kind: "deletion" },
  { words: "gcloud|az|doctl * * delete|destroy", kind: "deletion" },
  {
    words: `${scripts} run|run-script deploy*|release*|publish*`,
    kind: "deployment",
    unless: "*dry*|*build*|*test*|*preview*|*check*|*local*",
  },
  {
    words: "pnpm|yarn|bun deploy|deploy:*|release|release:*|migrate|migrate:*|*:migrate|*:migrate:*",
    kind: "deployment",
    unless: "*dry*|*build*|*test*|*preview*|*check*|*local*",
  },
  {
    words: `${scripts} run|run-script *migrat*`,
    kind: "migration",
    unless: "*dry*|*status*|*test*|*create*|*generate*|*make*|*new*",
  },
  {
    words: "make|just|task deploy*|release*|publish*|migrate*",
    kind: "deployment",
    unless: "-n|*dry*|*build*|*test*|*check*",
  },
  {
    words:
      "*_send_email|*_send_mail|*_send_message|*_post_message|*_create_issue|*_update_issue|*_create_comment|*_create_document|*_update_document|*_create_pull_request|*_merge_pull_request|*_add_issue_comment",
    kind: "message",
  },
  { words: "*_push_files|*_create_or_update_file|*_create_branch", kind: "push" },
  { words: "*_deploy_to_*|*_create_deployment|*_deploy_site", kind: "deployment" },
  { words: "*_apply_migration", kind: "migration" },
];

/** Outcomes; `refused`: SHIM did not let it run. */
export const effectOutcomes = ["done", "failed", "unknown", "refused"] as const;
export type EffectOutcome = (typeof effectOutcomes)[number];
