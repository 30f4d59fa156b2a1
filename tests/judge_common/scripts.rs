//! Words of several scripts, and new words that stand nowhere else.

/// A script as texts use it.
pub struct Script {
    pub words: &'static [&'static str],
    /// What stands between two words.
    pub joiner: &'static str,
    /// What ends a sentence, as part of its last word.
    pub stop: &'static str,
    /// What stands between two sentences.
    pub gap: &'static str,
    /// Ten signs to count with. No word of `words` holds one of them, nor one of `marks`.
    pub digits: [&'static str; 10],
    /// How the new words of the kept side, of the replayed side and of both begin.
    pub marks: [&'static str; 3],
}

const LATIN_DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const HAN_DIGITS: [&str; 10] = ["〇", "壹", "貳", "參", "肆", "伍", "陸", "柒", "捌", "玖"];

pub const LATIN: Script = Script {
    words: &[
        "the", "plan", "is", "simple", "we", "meet", "on", "Monday", "and", "bring", "water",
        "bread", "milk", "café", "naïve", "don't", "garden", "a", "of", "to", "budget", "first",
        "then", "rest", "people", "said", "that", "house", "stays", "open", "until", "evening",
        "because", "nobody", "knows", "where", "keys", "are", "letter", "came", "late", "e-mail",
    ],
    joiner: " ",
    stop: ".",
    gap: " ",
    digits: LATIN_DIGITS,
    marks: ["Kx", "Rx", "Bx"],
};

const CYRILLIC: Script = Script {
    words: &[
        "план", "очень", "простой", "мы", "встретимся", "утром", "и", "возьмём", "хлеб", "молоко",
        "потом", "отдых", "люди", "говорят", "что", "дом", "открыт", "вечером", "никто", "знает",
        "где", "письмо", "пришло", "поздно", "сад", "вода",
    ],
    joiner: " ",
    stop: ".",
    gap: " ",
    digits: LATIN_DIGITS,
    marks: ["Щк", "Щф", "Щб"],
};

const ARABIC: Script = Script {
    words: &[
        "الخطة", "بسيطة", "نلتقي", "يوم", "الاثنين", "ونحضر", "الماء", "والخبز", "الحليب", "ثم",
        "نرتاح", "الناس", "قالوا", "إن", "البيت", "مفتوح", "حتى", "المساء", "لا", "أحد", "يعرف",
        "أين", "المفاتيح", "الرسالة",
    ],
    joiner: " ",
    stop: ".",
    gap: " ",
    digits: ["٠", "١", "٢", "٣", "٤", "٥", "٦", "٧", "٨", "٩"],
    marks: ["ظك", "ظر", "ظب"],
};

const DEVANAGARI: Script = Script {
    words: &[
        "योजना", "सरल", "है", "हम", "सोमवार", "को", "मिलेंगे", "और", "पानी", "रोटी", "दूध", "फिर",
        "आराम", "लोग", "कहते", "हैं", "कि", "घर", "शाम", "तक", "खुला", "कोई", "नहीं", "जानता", "चाबी",
        "कहाँ", "चिट्ठी",
    ],
    joiner: " ",
    stop: "।",
    gap: " ",
    digits: ["०", "१", "२", "३", "४", "५", "६", "७", "८", "९"],
    marks: ["ठक", "ठझ", "ठब"],
};

const KOREAN: Script = Script {
    words: &[
        "계획은", "간단하다", "우리는", "월요일에", "만나서", "물과", "빵을", "가져온다", "우유", "그리고",
        "쉰다", "사람들은", "집이", "저녁까지", "열려", "있다고", "말했다", "아무도", "열쇠가", "어디",
        "있는지", "모른다", "편지가", "늦게", "왔다",
    ],
    joiner: " ",
    stop: ".",
    gap: " ",
    digits: LATIN_DIGITS,
    marks: ["츄크", "츄르", "츄브"],
};

const EMOJI: Script = Script {
    words: &[
        "party", "👩‍👩‍👧", "with", "🎉", "cake", "🏳️‍🌈", "at", "👨🏽‍🚀", "home", "🇫🇷", "bring", "🍎", "and",
        "👍🏿", "music", "🧑‍🍳", "till", "❤️‍🔥", "late", "dogs", "🐕‍🦺", "too", "dinner", "soon",
    ],
    joiner: " ",
    stop: "!",
    gap: " ",
    digits: LATIN_DIGITS,
    marks: ["K🧩", "R🧨", "B🪁"],
};

const THAI: Script = Script {
    words: &[
        "แผน", "ของ", "เรา", "ง่าย", "มาก", "พบกัน", "วัน", "จันทร์", "และ", "นำ", "น้ำ", "ขนมปัง",
        "นม", "แล้ว", "พัก", "ผู้คน", "บอก", "ว่า", "บ้าน", "เปิด", "ถึง", "เย็น", "ไม่มี", "ใคร", "รู้",
    ],
    joiner: "",
    stop: "",
    gap: " ",
    digits: ["๐", "๑", "๒", "๓", "๔", "๕", "๖", "๗", "๘", "๙"],
    marks: ["ฌฬ", "ฌฆ", "ฌฮ"],
};

const CHINESE: Script = Script {
    words: &[
        "计划", "很", "简单", "我们", "周日", "见面", "带", "水", "和", "面包", "牛奶", "然后", "休息",
        "人们", "说", "房子", "开到", "晚上", "没有人", "知道", "钥匙", "在哪里", "信", "来得", "太晚",
    ],
    joiner: "",
    stop: "。",
    gap: "",
    digits: HAN_DIGITS,
    marks: ["鑫", "鑾", "鱻"],
};

const JAPANESE: Script = Script {
    words: &[
        "計画は", "簡単です", "私たちは", "月曜に", "会って", "水と", "パンを", "持って", "ミルクも", "それから",
        "休みます", "人々は", "家が", "夜まで", "開いて", "いると", "言った", "誰も", "カギの", "場所を",
        "知らない", "手紙が", "遅く", "カメラで", "撮った",
    ],
    joiner: "",
    stop: "。",
    gap: "",
    digits: HAN_DIGITS,
    marks: ["鑫", "鑾", "鱻"],
};

/// All scripts with how often each is taken.
pub const ALL: [(usize, &Script); 9] = [
    (8, &LATIN),
    (2, &CYRILLIC),
    (1, &ARABIC),
    (1, &DEVANAGARI),
    (1, &KOREAN),
    (2, &EMOJI),
    (1, &THAI),
    (2, &CHINESE),
    (1, &JAPANESE),
];

impl Script {
    /// A word that stands nowhere else in the case: `count` in the script's signs, three of them,
    /// so that none begins another.
    pub fn unique(&self, mark: usize, count: usize) -> String {
        let digits = [count / 100 % 10, count / 10 % 10, count % 10];
        digits.iter().fold(self.marks[mark].to_owned(), |word, digit| word + self.digits[*digit])
    }
}
