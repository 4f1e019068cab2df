// sample_texts.c - the texts; a change of one changes what later results are compared by, and its counts with it.
#include "core/text/sample_texts.h"

const struct sample_text sample_texts[SAMPLE_TEXTS] = {
    {.name = "news",
     .gpt2 = 204,
     .gpt4 = 200,
     .text =
         "HARBOUR BRIDGE REOPENS AFTER NINE MONTHS\n\n"
         "The old harbour bridge opened to traffic again on Tuesday morning, nine months after engineers found cracks in two of its "
         "eleven piers. About 4,300 cars and 210 buses had crossed by noon, the city council said, and the ferry that replaced it made "
         "its last trip at 6:45 a.m.\n\n"
         "\"We told people it would be done before the winter, and it is,\" said Marta Lindqvist, who leads the council's works "
         "department. The repair cost $18.6 million, 12% more than was planned, mostly because steel prices rose in the spring. Shop "
         "owners on the east bank, who lost a third of their customers, were less pleased. \"Nobody has paid us for those months,\" said "
         "one of them, who didn't want to give her name.\n\n"
         "The council will vote on a second phase, new lamps and a wider path for bicycles, on 14 November.\n"},
    {.name = "code",
     .gpt2 = 338,
     .gpt4 = 217,
     .text = "from collections import deque\n\n\n"
             "class Window:\n"
             "    \"\"\"The mean of the last `size` values, kept up to date as they come.\"\"\"\n\n"
             "    def __init__(self, size: int) -> None:\n"
             "        if size < 1:\n"
             "            raise ValueError(f\"size must be positive, not {size}\")\n"
             "        self.size = size\n"
             "        self.values = deque(maxlen=size)\n"
             "        self.total = 0.0\n\n"
             "    def push(self, value: float) -> float:\n"
             "        if len(self.values) == self.size:\n"
             "            self.total -= self.values[0]\n"
             "        self.values.append(value)\n"
             "        self.total += value\n"
             "        return self.total / len(self.values)\n\n\n"
             "if __name__ == \"__main__\":\n"
             "    window = Window(3)\n"
             "    for i, x in enumerate([1, 2, 4, 8, 16]):\n"
             "        print(i, x, round(window.push(x), 3))  # 1.0, 1.5, 2.333, 4.667, 9.333\n"},
    {.name = "maths",
     .gpt2 = 286,
     .gpt4 = 246,
     .text = "\\begin{lemma}\\label{lem:odd}\n"
             "For every integer $n \\ge 1$ the first $n$ odd numbers add up to a square:\n"
             "\\[\n"
             "  \\sum_{k=1}^{n} (2k - 1) = n^2 .\n"
             "\\]\n"
             "\\end{lemma}\n\n"
             "\\begin{proof}\n"
             "For $n = 1$ both sides are $1$. Suppose that the equation holds for some $n$. Then\n"
             "\\begin{align*}\n"
             "  \\sum_{k=1}^{n+1} (2k - 1) &= n^2 + 2(n+1) - 1 \\\\\n"
             "                            &= n^2 + 2n + 1 = (n+1)^2 ,\n"
             "\\end{align*}\n"
             "which is the equation for $n + 1$. Since $\\sum_{k=1}^{n} k = \\tfrac{1}{2} n(n+1)$, one can also write the left side as\n"
             "$2 \\cdot \\tfrac{1}{2} n(n+1) - n = n^2$, without induction. \\qedhere\n"
             "\\end{proof}\n"},
    {.name = "science",
     .gpt2 = 207,
     .gpt4 = 205,
     .text = "When a star of about eight solar masses or more has fused its core to iron, no further fusion releases energy, and pressure "
             "can no longer hold up the layers above. Within a quarter of a second the core collapses from the size of the Earth to a "
             "sphere of some 20 kilometres: electrons are captured by protons (p + e\xE2\x81\xBB \xE2\x86\x92 n + \xCE\xBD\xE2\x82\x91), and a "
             "burst of neutrinos carries away nearly 99% of the 3\xC2\xA0\xC3\x97\xC2\xA0"
             "10\xE2\x81\xB4\xE2\x81\xB6 joules that are set free. The infalling matter rebounds from the stiffened core as a shock wave, "
             "which stalls, is revived by neutrino heating, and finally unbinds the envelope. What is left is a neutron star or, where "
             "more than two to three solar masses fall back, a black hole. The light curve that follows is powered by the decay of "
             "nickel-56 through cobalt-56 to iron-56, with half-lives of 6.1 and 77.2 days.\n"},
    {.name = "korean",
     .gpt2 = 397,
     .gpt4 = 188,
     .text = "우리 마을에는 작은 도서관이 하나 있다. 강가의 오래된 창고를 고쳐 만든 곳인데, 주말이면 아이들이 모여 큰 소리로 책을 읽는다. "
             "관장인 박선영 씨는 “책보다 사람이 먼저”라고 말한다. 그래서 이곳에서는 책을 빌리지 않아도 차를 마시고 이야기를 나눌 수 있다. "
             "지난해에는 3,200명이 다녀갔고, 올해는 그보다 더 많은 사람이 찾아올 것으로 보인다.\n"},
};
