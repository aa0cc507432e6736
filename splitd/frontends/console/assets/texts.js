// All words of the page, in English and in Russian.  A text is a string with {0}, {1}, or forms by number: the first
// value chooses among them.
const texts = {
  accountOf: ["Account of {0}", "Учётная запись {0}"],
  actionOn: ["{0}: {1}", "{0}: {1}"],
  actions: ["Actions", "Действия"],
  actionsFor: ["Actions for {0}", "Действия: {0}"],
  address: ["Address", "Адрес"],
  andMore: ["and {0} more", "и ещё {0}"],
  asGrid: ["Show as a grid", "Показать плиткой"],
  asList: ["Show as a list", "Показать списком"],
  bytes: ["{0} bytes", "{0} Б"],
  cancel: ["Cancel", "Отмена"],
  cancelAll: ["Cancel all", "Отменить все"],
  cancelled: ["cancelled; nothing was stored", "отменено; ничего не сохранено"],
  chosen: [{ one: "{0} selected", other: "{0} selected" }, { one: "Выбран {0}", few: "Выбрано {0}", many: "Выбрано {0}", other: "Выбрано {0}" }],
  chosenActions: ["Actions for the selection", "Действия с выбранным"],
  clearSelection: ["Clear the selection", "Снять выделение"],
  close: ["Close", "Закрыть"],
  cluster: ["Cluster", "Кластер"],
  copied: [{ one: "Copied {0} item", other: "Copied {0} items" }, { one: "Скопирован {0} объект", few: "Скопировано {0} объекта", many: "Скопировано {0} объектов", other: "Скопировано {0} объекта" }],
  copiedRows: [{ one: "{0} item to copy", other: "{0} items to copy" }, { one: "К копированию: {0}", few: "К копированию: {0}", many: "К копированию: {0}", other: "К копированию: {0}" }],
  copyHere: ["Copy here", "Копировать сюда"],
  copyLink: ["Copy link", "Скопировать ссылку"],
  copyTitle: [{ one: "Copy {1}", other: "Copy {0} items" }, { one: "Копировать {1}", few: "Копировать {0} объекта", many: "Копировать {0} объектов", other: "Копировать {0} объекта" }],
  copyTo: ["Copy to…", "Копировать в…"],
  create: ["Create", "Создать"],
  created: ["Created", "Создано"],
  cutRows: [{ one: "{0} item to move", other: "{0} items to move" }, { one: "К перемещению: {0}", few: "К перемещению: {0}", many: "К перемещению: {0}", other: "К перемещению: {0}" }],
  days: [{ one: "{0} day", other: "{0} days" }, { one: "{0} день", few: "{0} дня", many: "{0} дней", other: "{0} дня" }],
  delete: ["Delete", "Удалить"],
  deleteFolderText: ["Folders are deleted with all that is in them.", "Папки удаляются со всем содержимым."],
  deleteMany: [{ one: "Delete {0} item?", other: "Delete {0} items?" }, { one: "Удалить {0} объект?", few: "Удалить {0} объекта?", many: "Удалить {0} объектов?", other: "Удалить {0} объекта?" }],
  deleteOne: ["Delete {0}?", "Удалить {0}?"],
  deleteText: ["They cannot be brought back.", "Вернуть их будет нельзя."],
  deleted: [{ one: "Deleted {0} item", other: "Deleted {0} items" }, { one: "Удалён {0} объект", few: "Удалено {0} объекта", many: "Удалено {0} объектов", other: "Удалено {0} объекта" }],
  dismiss: ["Dismiss", "Скрыть"],
  download: ["Download", "Скачать"],
  dropHere: ["Drop to upload to {0}", "Отпустите, чтобы загрузить в {0}"],
  dropInvites: ["Drop files and folders here, or choose them.", "Перетащите сюда файлы и папки или выберите их."],
  endSearch: ["End search", "Закончить поиск"],
  fileCount: [{ one: "{0} file", other: "{0} files" }, { one: "{0} файл", few: "{0} файла", many: "{0} файлов", other: "{0} файла" }],
  files: ["Files", "Файлы"],
  filter: ["Filter", "Фильтр"],
  folder: ["Folder", "Папка"],
  folderCount: [{ one: "{0} folder", other: "{0} folders" }, { one: "{0} папка", few: "{0} папки", many: "{0} папок", other: "{0} папки" }],
  folderHasName: ["a folder has this name", "папка с таким именем уже есть"],
  folders: ["Folders", "Папки"],
  free: ["{0} free", "Свободно {0}"],
  hours: [{ one: "{0} hour", other: "{0} hours" }, { one: "{0} час", few: "{0} часа", many: "{0} часов", other: "{0} часа" }],
  isTaken: ["There is a file of this name", "Файл с таким именем уже есть"],
  keepAllBoth: ["Keep both", "Сохранить оба"],
  keepBoth: ["Keep both", "Оставить оба"],
  layoutText: ["{0} data parts and {1} parity parts", "{0} частей с данными и {1} с чётностью"],
  left: ["{0} left", "осталось {0}"],
  linkCopied: ["The link is copied", "Ссылка скопирована"],
  listCut: ["Only the first {0} are shown; search finds the others", "Показаны первые {0}; остальные найдёт поиск"],
  loadAgain: ["This part of the page has changed: load the page again.", "Страница обновилась: загрузите её заново."],
  loading: ["Loading…", "Загрузка…"],
  loadingMore: ["{0} loaded…", "загружено {0}…"],
  locked: ["Locked", "Заблокировано"],
  lockedBy: ["by {0} until {1}", "{0}, до {1}"],
  logIn: ["Log in", "Войти"],
  logOut: ["Log out", "Выйти"],
  logOutEverywhere: ["Log out everywhere", "Выйти везде"],
  loggingIn: ["Logging in…", "Вход…"],
  manyTaken: [{ one: "{0} name is taken", other: "{0} names are taken" }, { one: "Занято {0} имя", few: "Занято {0} имени", many: "Занято {0} имён", other: "Занято {0} имени" }],
  membersOf: ["Members of {0}", "Содержимое {0}"],
  minutes: [{ one: "{0} minute", other: "{0} minutes" }, { one: "{0} минута", few: "{0} минуты", many: "{0} минут", other: "{0} минуты" }],
  missingParts: ["Missing parts", "Частей не хватает"],
  modified: ["Modified", "Изменён"],
  moveHere: ["Move here", "Переместить сюда"],
  moveTitle: [{ one: "Move {1}", other: "Move {0} items" }, { one: "Переместить {1}", few: "Переместить {0} объекта", many: "Переместить {0} объектов", other: "Переместить {0} объекта" }],
  moveTo: ["Move to…", "Переместить в…"],
  moved: [{ one: "Moved {0} item", other: "Moved {0} items" }, { one: "Перемещён {0} объект", few: "Перемещено {0} объекта", many: "Перемещено {0} объектов", other: "Перемещено {0} объекта" }],
  name: ["Name", "Имя"],
  nameTaken: ["{0} is there already", "{0} там уже есть"],
  newFolder: ["New folder", "Новая папка"],
  next: ["Next", "Следующий"],
  noConnection: ["no connection to the server", "нет связи с сервером"],
  noDots: ["no file can have this name", "такого имени быть не может"],
  noFolder: ["There is no {0}", "{0}: такого нет"],
  noFolders: ["There are no folders here", "Папок здесь нет"],
  noPreview: ["There is no preview of this file.", "Этот файл нельзя показать здесь."],
  noRoom: ["{0} do not fit: {1} are free. Nothing was sent", "{0} не поместятся: свободно {1}. Ничего не отправлено"],
  noSlash: ["a name has no slash", "в имени не бывает косой черты"],
  noView: ["There is no such page.", "Такой страницы нет."],
  notCopied: [{ one: "{0} item was not copied", other: "{0} items were not copied" }, { one: "Не скопирован {0}", few: "Не скопировано {0}", many: "Не скопировано {0}", other: "Не скопировано {0}" }],
  notDeleted: [{ one: "{0} item was not deleted", other: "{0} items were not deleted" }, { one: "Не удалён {0}", few: "Не удалено {0}", many: "Не удалено {0}", other: "Не удалено {0}" }],
  notMoved: [{ one: "{0} item was not moved", other: "{0} items were not moved" }, { one: "Не перемещён {0}", few: "Не перемещено {0}", many: "Не перемещено {0}", other: "Не перемещено {0}" }],
  nothingFound: ["Nothing was found.", "Ничего не найдено."],
  nothingHere: ["Nothing is here yet", "Здесь пока пусто"],
  nothingMatches: ["Nothing here matches “{0}”.", "Здесь нет ничего похожего на «{0}»."],
  open: ["Open", "Открыть"],
  password: ["Password", "Пароль"],
  pasteHere: ["Paste here", "Вставить сюда"],
  path: ["Path", "Путь"],
  previous: ["Previous", "Предыдущий"],
  properties: ["Properties", "Свойства"],
  rename: ["Rename", "Переименовать"],
  renameTitle: ["Rename", "Переименовать"],
  rendered: ["Rendered", "Вид"],
  replace: ["Replace", "Заменить"],
  replaceAll: ["Replace all", "Заменить все"],
  roomLeft: ["{0} stored, {1} free", "Занято {0}, свободно {1}"],
  searchBelow: ["Search in the folders below", "Искать во вложенных папках"],
  searchFor: ["Search: {0}", "Поиск: {0}"],
  searchIn: ["“{0}” in {1}", "«{0}» в {1}"],
  seconds: [{ one: "{0} second", other: "{0} seconds" }, { one: "{0} секунда", few: "{0} секунды", many: "{0} секунд", other: "{0} секунды" }],
  segments: [{ one: "{0} segment", other: "{0} segments" }, { one: "{0} сегмент", few: "{0} сегмента", many: "{0} сегментов", other: "{0} сегмента" }],
  select: ["Select {0}", "Выбрать {0}"],
  settings: ["Settings", "Настройки"],
  size: ["Size", "Размер"],
  skip: ["Skip", "Пропустить"],
  skipAll: ["Skip all", "Пропустить все"],
  skipToContent: ["Skip to the files", "К файлам"],
  skipped: ["skipped; the old file stays", "пропущено; старый файл остался"],
  somebody: ["somebody", "кем-то"],
  source: ["Source", "Исходный текст"],
  storedAs: ["Stored as", "Хранится как"],
  textCut: ["Only the first {0} are shown.", "Показаны только первые {0}."],
  "theme-auto": ["Colours of the system", "Цвета системы"],
  "theme-dark": ["Dark colours", "Тёмные цвета"],
  "theme-light": ["Light colours", "Светлые цвета"],
  toParent: ["Go to the folder above", "В папку выше"],
  tryAgain: ["Try again", "Ещё раз"],
  type: ["Type", "Тип"],
  typePath: ["Type a path", "Ввести путь"],
  unknown: ["unknown", "неизвестен"],
  upload: ["Upload", "Загрузить"],
  uploadFiles: ["Upload files", "Загрузить файлы"],
  uploadFolder: ["Upload a folder", "Загрузить папку"],
  uploaded: [{ one: "{0} file uploaded", other: "{0} files uploaded" }, { one: "Загружен {0} файл", few: "Загружено {0} файла", many: "Загружено {0} файлов", other: "Загружено {0} файла" }],
  uploading: ["Uploading: {0} of {1}", "Загрузка: {0} из {1}"],
  uploads: ["Uploads", "Загрузки"],
  uploadsFailed: [{ one: "{0} file was not uploaded", other: "{0} files were not uploaded" }, { one: "Не загружен {0} файл", few: "Не загружено {0} файла", many: "Не загружено {0} файлов", other: "Не загружено {0} файла" }],
  userName: ["User name", "Имя пользователя"],
  views: ["Views", "Разделы"],
  waits: ["waiting", "ждёт"],
  wrongPassword: ["The name or the password is wrong", "Имя или пароль неверны"],
};

const languages = ["en", "ru"];

function find() {
  try {
    const kept = localStorage.getItem("splitd.language");
    if (languages.includes(kept)) return kept;
  } catch {
    // Storage is switched off.
  }
  return (navigator.language || "").toLowerCase().startsWith("ru") ? "ru" : "en";
}

export const language = find();
const at = languages.indexOf(language);
const plural = new Intl.PluralRules(language);
const number = new Intl.NumberFormat(language);

export function setLanguage(name) {
  try {
    localStorage.setItem("splitd.language", name);
  } catch {
    return;
  }
  location.reload();
}

/** Add the words of a view. */
export const addTexts = (more) => Object.assign(texts, more);

/** A text with values. */
export function t(name, ...values) {
  let text = texts[name] ? texts[name][at] : name;
  if (typeof text === "object") text = text[plural.select(values[0])] || text.other;
  return text.replace(/\{(\d)\}/g, (_, index) => {
    const value = values[index];
    return typeof value === "number" ? number.format(value) : value;
  });
}
