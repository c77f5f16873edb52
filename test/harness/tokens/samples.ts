import { seededRandom } from "#harness/clock/fake-time.ts";

/** A text and its tokens, as gpt-tokenizer 4.0.0 counts them with o200k_base. */
export interface TokenSample {
  readonly kind: string;
  readonly text: string;
  readonly tokens: number;
}

const random = seededRandom(11);
const bytes = Buffer.from(Array.from({ length: 2_400 }, () => Math.floor(random() * 256)));
const words = "The session died while the tests were running, and nothing of it was lost. ".repeat(32);

const code = `/** Tries again after a pause that doubles. */
export async function retry<T>(work: () => Promise<T>, { tries = 3, pauseMs = 100 }: RetryOptions = {}): Promise<T> {
  let lastError: unknown = null;
  for (let attempt = 0; attempt < tries; attempt++) {
    try {
      return await work();
    } catch (error) {
      lastError = error;
      if (!isTransient(error)) break;
      await sleep(pauseMs * 2 ** attempt);
    }
  }
  throw new Error(\`gave up after \${tries} tries\`, { cause: lastError });
}

function isTransient(error: unknown): boolean {
  return error instanceof NetworkError && (error.status === 429 || error.status >= 500);
}
`;

const json = JSON.stringify(
  {
    orders: Array.from({ length: 12 }, (_, index) => ({
      id: `order-${1000 + index * 37}`,
      customer: { name: ["Ada Lovelace", "Alan Turing", "Grace Hopper"][index % 3], isActive: index % 2 === 0 },
      totalCents: 1_999 + index * 451,
      createdAt: `2026-03-${String(10 + index)}T08:15:00Z`,
      tags: ["paid", "priority"],
    })),
  },
  null,
  2,
);

const english = `The checkpoint is written before the answer is shown, so that a crash at any moment leaves the work as it
was. When a chat ends without a word, the next one in the same project is offered what it knew: the files that it had
changed, the commands that had failed, and the question that was still open. A user who does not want that can dismiss
the offer, and it is not made again. Please check whether the migration has run, update the configuration of the staging
server, and write down what remains to be done before you commit. Do not push to the main branch until all tests pass.`;

const arabic = `تحفظ الأداة حالة المحادثة قبل عرض الإجابة، حتى لا يضيع أي عمل عند توقف البرنامج فجأة. عندما تنتهي المحادثة
دون إشعار، تعرض المحادثة التالية في المشروع نفسه ما كانت تعرفه: الملفات التي غيرتها، والأوامر التي فشلت، والسؤال الذي بقي
مفتوحا. يمكن للمستخدم أن يرفض هذا العرض، ولن يتكرر بعد ذلك. يرجى التحقق من تشغيل الترحيل، وتحديث إعدادات الخادم، وكتابة ما
تبقى من المهام قبل حفظ التغييرات. لا ترسل شيئا إلى الفرع الرئيسي حتى تنجح جميع الاختبارات. إذا ظهر خطأ في قاعدة البيانات
فأعد المحاولة بعد دقيقة، ثم أخبرني بالنتيجة مع وصف قصير للسبب.`;

const russian = `Инструмент сохраняет состояние беседы до того, как показан ответ, чтобы работа не пропала, если программа внезапно
остановится. Когда беседа заканчивается без уведомления, следующая беседа в том же проекте получает всё, что было известно:
изменённые файлы, неудачные команды и вопрос, который остался открытым. Пользователь может отказаться от предложения.
Проверьте, пожалуйста, завершена ли миграция, обновите настройки сервера и запишите, что ещё осталось сделать.`;

const japanese = `このツールは、回答が表示される前に会話の状態を保存します。そのため、プログラムが突然停止しても作業は失われません。会話が通知なしに終了した場合、
同じプロジェクトの次の会話に、それまでに分かっていたことが渡されます。変更されたファイル、失敗したコマンド、そしてまだ答えのない質問です。ユーザーはこの提案を断ることができ、
その後は二度と表示されません。マイグレーションが完了しているか確認し、サーバーの設定を更新して、保存する前に残りの作業を書き出してください。すべてのテストが成功するまで、
メインブランチにプッシュしないでください。データベースのエラーが出たら、一分待ってからもう一度実行し、原因を短く説明してください。`;

export const tokenSamples: readonly TokenSample[] = [
  { kind: "English", text: english, tokens: 129 },
  { kind: "code", text: code, tokens: 166 },
  { kind: "JSON", text: json, tokens: 993 },
  { kind: "JSON without spaces", text: JSON.stringify(JSON.parse(json)), tokens: 617 },
  { kind: "Arabic", text: arabic, tokens: 169 },
  { kind: "Russian", text: russian, tokens: 112 },
  { kind: "Japanese", text: japanese, tokens: 206 },
  { kind: "base64", text: bytes.toString("base64"), tokens: 2_181 },
  { kind: "base64 in lines", text: bytes.toString("base64").replaceAll(/.{76}/g, "$&\n"), tokens: 2_229 },
  { kind: "base64 of a text", text: Buffer.from(words).toString("base64"), tokens: 2_144 },
  { kind: "base64url", text: bytes.toString("base64url"), tokens: 2_163 },
  { kind: "hexadecimal", text: bytes.toString("hex"), tokens: 2_679 },
];
