"""The languages of the READMEs and of the notebooks, and all that a program says in them."""

from __future__ import annotations

from typing import NamedTuple

from captcha_helpers.results import HEADINGS


class Language(NamedTuple):
    """What the tools write into the README, the pages and the notebooks of one language.

    Attributes:
        code: The language, as browsers name it. ``i18n/zh-CN`` has the catalogues of zh-CN.
        name: The language in its own words.
        notebooks: The folder of its notebooks.
        not_translated: What stands above a cell that is in English still.
        pages: The folder of the pages that the README leads to.
        percent: What stands behind a number of per cent.
        results: Headings of the table of results, by the name of the column.
        benchmarks: Headings of the tables of benchmarks.
        scale: What the tables of the page on more than one machine say, by its name; ``more``,
            ``efficiency`` and ``assumed`` take a number.
        labelling: Headings of the table on labelling by the name of the column, and its words.
        no_address: How to open the notebooks on Colab while the repository has no address.
    """

    code: str
    name: str
    notebooks: str
    not_translated: str
    pages: str
    percent: str
    results: dict[str, str]
    benchmarks: dict[str, str]
    scale: dict[str, str]
    labelling: dict[str, str]
    no_address: str


READMES = {
    "README.md": Language(
        code="en",
        name="English",
        notebooks="notebooks",
        not_translated="",
        pages="docs",
        percent=" %",
        results=HEADINGS,
        benchmarks={
            "set": "Images",
            "reader": "Reader",
            "labels": "Labels",
            "seconds": "CPU-seconds",
            "exact_match": "Exact match",
            "exact_match_ci95": "95 % interval",
            "exact_match_ignore_case": "Ignoring case",
            "n": "n",
        },
        scale={
            "job": "Job",
            "command": "Command",
            "hourly": "Million images an hour",
            "note": "Compared",
            "cpu": "CPU-seconds for 1,000",
            "load": "Load before",
            "draw": "draw",
            "read": "read",
            "plain": "plain",
            "one": "Ray, 1 worker",
            "two": "Ray, 2 workers",
            "more": "{:+.0f} % time against plain",
            "efficiency": "efficiency {:.2f} against 1 worker",
            "train_cores": "pre-train, cores",
            "train_gpus": "pre-train, GPUs",
            "each_second": "Images a second, by one core or GPU",
            "of_several": "Efficiency of several",
            "assumed": "{:.2f}, assumed, not measured",
            "cores": "Cores",
            "draw_minutes": "Minutes to draw 100 million",
            "read_minutes": "Minutes to read 50 million",
            "train_hours": "Hours to pre-train with 100 million",
            "gpus": "GPUs",
            "train_minutes": "Minutes to pre-train with 100 million",
        },
        labelling={
            "set": "Images",
            "order": "Order",
            "corrected": "Corrected",
            "keys": "Keystrokes",
            "minutes": "Minutes",
            "before": "Reads of others before",
            "after": "After (95 % interval)",
            "95": "To 95 %",
            "99": "To 99 %",
            "proposed": "the page's",
            "random": "random",
            "doubtful": "doubtful from the first on",
            "three_quarters": "doubtful from three of four on",
            "of": "{} of {}",
            "instead": "{} instead of {}",
            "took": "{} labels, {} keys, {:.1f} min",
        },
        no_address="On Colab: `make colab` makes `dist/captcha-helpers-colab.zip` (it needs git, "
        "no environment). Open a notebook and run its first code cell; it asks for that file.",
    ),
    "README_zh-CN.md": Language(
        code="zh-CN",
        name="简体中文",
        notebooks="notebooks_zh-CN",
        not_translated="本节待更新",
        pages="docs/zh-CN",
        percent="%",
        results={
            "notebook": "笔记本",
            "model": "模型",
            "style": "样式",
            "exact_match": "整串准确率",
            "exact_match_ci95": "95% 置信区间",
            "cer": "字符错误率",
            "n": "测试图片数",
            "train_images": "训练图片数",
            "parameters": "参数量",
            "seconds": "训练秒数",
        },
        benchmarks={
            "set": "图片",
            "reader": "识别器",
            "labels": "标签数",
            "seconds": "CPU 秒",
            "exact_match": "整串准确率",
            "exact_match_ci95": "95% 置信区间",
            "exact_match_ignore_case": "不分大小写",
            "n": "n",
        },
        scale={
            "job": "任务",
            "command": "命令",
            "hourly": "每小时百万张",
            "note": "比较",
            "cpu": "每 1,000 张的 CPU 秒",
            "load": "开始前的负载",
            "draw": "绘制",
            "read": "读取",
            "plain": "普通命令",
            "one": "Ray，1 个进程",
            "two": "Ray，2 个进程",
            "more": "用时与普通命令相比 {:+.0f} %",
            "efficiency": "相对 1 个进程的效率为 {:.2f}",
            "train_cores": "预训练，CPU 核",
            "train_gpus": "预训练，GPU",
            "each_second": "一个核或一块 GPU 每秒张数",
            "of_several": "多个一起时的效率",
            "assumed": "{:.2f}（假定，未实测）",
            "cores": "核数",
            "draw_minutes": "绘制 1 亿张所需分钟",
            "read_minutes": "读取 5000 万张所需分钟",
            "train_hours": "用 1 亿张预训练所需小时",
            "gpus": "GPU 数",
            "train_minutes": "用 1 亿张预训练所需分钟",
        },
        labelling={
            "set": "图片",
            "order": "顺序",
            "corrected": "改正",
            "keys": "按键",
            "minutes": "分钟",
            "before": "标注前读对其余图片",
            "after": "标注后（95% 区间）",
            "95": "达到 95%",
            "99": "达到 99%",
            "proposed": "页面的顺序",
            "random": "随机",
            "doubtful": "一开始就挑最没有把握的",
            "three_quarters": "能读对四分之三起挑没有把握的",
            "of": "{}（共 {}）",
            "instead": "{} 次（不用猜测时 {} 次）",
            "took": "{} 个标签，{} 次按键，{:.1f} 分钟",
        },
        no_address="在 Colab 上：`make colab` 会生成 `dist/captcha-helpers-colab.zip`"
        "（只需要 git，不需要虚拟环境）。打开笔记本并运行第一个代码单元，它会请你上传这个文件。",
    ),
}
ENGLISH, *TRANSLATIONS = READMES.values()
