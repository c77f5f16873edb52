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

const hebrew = `הכלי שומר את מצב השיחה לפני שהתשובה מוצגת, כדי ששום עבודה לא תאבד כאשר התוכנית נעצרת פתאום. כאשר שיחה מסתיימת
ללא הודעה, השיחה הבאה באותו פרויקט מקבלת את מה שהיה ידוע: הקבצים ששונו, הפקודות שנכשלו והשאלה שנשארה פתוחה. המשתמש יכול
לדחות את ההצעה, והיא לא תוצג שוב. נא לבדוק אם ההעברה הסתיימה, לעדכן את הגדרות השרת ולכתוב מה נשאר לעשות לפני השמירה.`;

const thai = `เครื่องมือนี้บันทึกสถานะของการสนทนาก่อนที่จะแสดงคำตอบ เพื่อไม่ให้งานสูญหายเมื่อโปรแกรมหยุดทำงานกะทันหัน เมื่อการสนทนาจบลงโดยไม่มีการแจ้งเตือน
การสนทนาถัดไปในโครงการเดียวกันจะได้รับสิ่งที่เคยรู้ เช่น ไฟล์ที่ถูกแก้ไข คำสั่งที่ล้มเหลว และคำถามที่ยังไม่มีคำตอบ กรุณาตรวจสอบการตั้งค่าของเซิร์ฟเวอร์ก่อนบันทึก`;

const hindi = `यह उपकरण उत्तर दिखाने से पहले बातचीत की स्थिति सहेजता है, ताकि कार्यक्रम अचानक बंद होने पर कोई काम न खो जाए। जब कोई बातचीत बिना सूचना के
समाप्त हो जाती है, तो उसी परियोजना की अगली बातचीत को वह सब मिलता है जो पहले ज्ञात था: बदली गई फाइलें, विफल हुए आदेश और वह प्रश्न जो अभी खुला है। कृपया जाँचें कि
सर्वर की सेटिंग सही है, और सहेजने से पहले लिखें कि क्या करना बाकी है। मुख्य शाखा में तब तक कुछ न भेजें जब तक सभी परीक्षण सफल न हों।`;

const russian = `Инструмент сохраняет состояние беседы до того, как показан ответ, чтобы работа не пропала, если программа внезапно
остановится. Когда беседа заканчивается без уведомления, следующая беседа в том же проекте получает всё, что было известно:
изменённые файлы, неудачные команды и вопрос, который остался открытым. Пользователь может отказаться от предложения.
Проверьте, пожалуйста, завершена ли миграция, обновите настройки сервера и запишите, что ещё осталось сделать.`;

const japanese = `このツールは、回答が表示される前に会話の状態を保存します。そのため、プログラムが突然停止しても作業は失われません。会話が通知なしに終了した場合、
同じプロジェクトの次の会話に、それまでに分かっていたことが渡されます。変更されたファイル、失敗したコマンド、そしてまだ答えのない質問です。ユーザーはこの提案を断ることができ、
その後は二度と表示されません。マイグレーションが完了しているか確認し、サーバーの設定を更新して、保存する前に残りの作業を書き出してください。すべてのテストが成功するまで、
メインブランチにプッシュしないでください。データベースのエラーが出たら、一分待ってからもう一度実行し、原因を短く説明してください。`;

const chinese = `该工具在显示回答之前保存对话的状态，因此即使程序突然停止，工作也不会丢失。当对话在没有通知的情况下结束时，同一项目中的下一个对话会得到之前已知的内容：
修改过的文件、失败的命令以及尚未回答的问题。用户可以拒绝这个建议，之后不会再次显示。请检查迁移是否完成，更新服务器的配置，并在提交之前写下还需要做的事情。在所有测试通过之前，不要推送到主分支。`;

const korean = `이 도구는 답변이 표시되기 전에 대화의 상태를 저장하므로 프로그램이 갑자기 멈춰도 작업을 잃지 않습니다. 대화가 알림 없이 끝나면 같은 프로젝트의 다음 대화가
이미 알고 있던 내용을 받습니다. 변경된 파일, 실패한 명령, 그리고 아직 답하지 않은 질문입니다. 마이그레이션이 끝났는지 확인하고 서버 설정을 갱신한 다음 저장하기 전에 남은 일을 적어 주세요.`;

export const tokenSamples: readonly TokenSample[] = [
  { kind: "English", text: english, tokens: 129 },
  { kind: "code", text: code, tokens: 166 },
  { kind: "JSON", text: json, tokens: 993 },
  { kind: "JSON without spaces", text: JSON.stringify(JSON.parse(json)), tokens: 617 },
  { kind: "Arabic", text: arabic, tokens: 169 },
  { kind: "Hebrew", text: hebrew, tokens: 132 },
  { kind: "Thai", text: thai, tokens: 123 },
  { kind: "Hindi", text: hindi, tokens: 131 },
  { kind: "Russian", text: russian, tokens: 112 },
  { kind: "Japanese", text: japanese, tokens: 206 },
  { kind: "Chinese", text: chinese, tokens: 113 },
  { kind: "Korean", text: korean, tokens: 107 },
  { kind: "base64", text: bytes.toString("base64"), tokens: 2_181 },
  { kind: "base64 in lines", text: bytes.toString("base64").replaceAll(/.{76}/g, "$&\n"), tokens: 2_229 },
  { kind: "base64 of a text", text: Buffer.from(words).toString("base64"), tokens: 2_144 },
  { kind: "base64url", text: bytes.toString("base64url"), tokens: 2_163 },
  { kind: "hexadecimal", text: bytes.toString("hex"), tokens: 2_679 },
];
