#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/large_pages.h"
#include "core/mapped_file.h"
#include "core/memory.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/threads.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

TEST(ErrorText, OffersCloseMatches) {
  const std::vector<std::string> names = {"quantize.round", "prune.ffn", "distill.blocks"};
  EXPECT_EQ(CloseMatches("quantise.round", names), std::vector<std::string>{"quantize.round"});
  EXPECT_EQ(DidYouMean("prune.fnn", names), " (did you mean prune.ffn?)");
  EXPECT_EQ(DidYouMean("zzz", {"a", "b"}), " (known: a, b)");
}

TEST(JsonReading, ErrorsSayWhere) {
  Json value = ParseJson(R"({"a": {"b": [1, "x", 2.5]}, "factor": 8})", "file.json");
  JsonView root(value, "file.json");
  EXPECT_EQ(root.At("a").At("b").At(0).Int(), 1);
  EXPECT_EQ(root.IntOr("absent", 7), 7);
  EXPECT_ERROR(root.At("a").At("b").At(1).Int(), "file.json: a.b[1]: expected an integer, found \"x\"");
  EXPECT_ERROR(root.At("a").At("b").At(2).Int(), "a.b[2]: expected an integer, found 2.5");
  EXPECT_ERROR(root.At("a").At("b").At(3), "has 3 elements");
  EXPECT_ERROR(root.At("facto"), "key \"facto\" is missing (did you mean factor?)");
  EXPECT_ERROR(root.IntOr("a", 0), "a: expected an integer");
  EXPECT_ERROR(ParseJson("{\"a\": ", "file.json"), "file.json: not valid JSON");
  EXPECT_ERROR(ParseJson(std::string(100000, '['), "file.json"), "nested deeper than 256");
  EXPECT_ERROR(JsonView(ParseJson("18446744073709551615", "f"), "f").Int(), "below 2^63");
}

TEST(Files, WriteIsAtomicAndErrorsSayWhy) {
  TempDir dir;
  WriteFileAtomically(dir / "a", "one");
  WriteFileAtomically(dir / "a", "two");
  EXPECT_EQ(ReadTextFile(dir / "a"), "two");
  EXPECT_FALSE(std::filesystem::exists(dir / "a.tmp"));
  EXPECT_ERROR(WriteFileAtomically(dir / "none/a", "x"), "cannot write: No such file or directory");
  EXPECT_ERROR(WriteFileAtomically(dir.path(), "x"), "is a directory");
  EXPECT_ERROR(ReadTextFile(dir / "absent"), "cannot open");
  EXPECT_ERROR(ReadTextFile(dir.path()), "is a directory");
  EXPECT_ERROR(MappedFile(dir / "absent"), "cannot open");
  EXPECT_ERROR(MappedFile(dir.path()), "is not a regular file");
}

TEST(Files, APipeIsWrittenAndStaysOne) {
  TempDir dir;
  const std::filesystem::path pipe = dir / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  WriteFileAtomically(pipe, "four");
  char content[8] = {};
  EXPECT_EQ(::read(reader, content, sizeof(content)), 4);
  EXPECT_STREQ(content, "four");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
  ::close(reader);
}

TEST(Files, OutputMayNotTouchInput) {
  TempDir dir;
  std::filesystem::create_directories(dir / "in/sub");
  EXPECT_ERROR(RequireSeparate(dir / "in", dir / "in/"), "are the same directory");
  EXPECT_ERROR(RequireSeparate(dir / "in", dir / "in/sub/out"), "lies inside the input");
  EXPECT_ERROR(RequireSeparate(dir / "in/sub", dir / "in"), "contains the input");
  EXPECT_NO_THROW(RequireSeparate(dir / "in", dir / "in2"));
}

TEST(Files, LockRefusesASecondHolder) {
  TempDir dir;
  {
    DirectoryLock lock(dir / "out");
    EXPECT_ERROR(DirectoryLock(dir / "out"), fmt::format("in use by another run (process {})", ::getpid()));
  }
  EXPECT_NO_THROW(DirectoryLock(dir / "out"));
}

TEST(Files, LockOfAKilledProcessIsFree) {
  TempDir dir;
  pid_t child = ::fork();
  if (child == 0) {
    DirectoryLock lock(dir / "out");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(std::filesystem::exists(dir / "out.lock"));
  EXPECT_NO_THROW(DirectoryLock(dir / "out"));
}

TEST(Files, ALockFileOfSomebodyElseIsLeftAlone) {
  TempDir dir;
  WriteFileAtomically(dir / "out.lock", "{\"packages\": []}");
  EXPECT_ERROR(DirectoryLock(dir / "out"), "out.lock: is needed to lock the output, but is a file that no run made");
  EXPECT_EQ(ReadTextFile(dir / "out.lock"), "{\"packages\": []}");
  WriteFileAtomically(dir / "out.lock", "");
  {
    DirectoryLock lock(dir / "out");
    EXPECT_ERROR(DirectoryLock(dir / "out"), "in use by another run");
  }
  EXPECT_EQ(ReadTextFile(dir / "out.lock"), "") << "an empty file that was there is there, and empty";
  std::filesystem::remove(dir / "out.lock");
  { DirectoryLock lock(dir / "out"); }
  EXPECT_FALSE(std::filesystem::exists(dir / "out.lock"));
}

TEST(Files, PublishReplacesAWholeDirectory) {
  TempDir dir;
  for (const char* name : {"final", "staged"}) {
    std::filesystem::create_directories(dir / name);
    WriteFileAtomically(dir / name / "content", name);
  }
  WriteFileAtomically(dir / "final" / "leftover", "old");
  std::filesystem::create_directories(dir / "final.old");  // a copy that its user keeps
  EXPECT_ERROR(PublishDirectory(dir / "absent", dir / "final"), "cannot publish");
  EXPECT_EQ(ReadTextFile(dir / "final" / "leftover"), "old") << "what was there stays where it was";
  PublishDirectory(dir / "staged", dir / "final/");
  EXPECT_EQ(ReadTextFile(dir / "final" / "content"), "staged");
  EXPECT_FALSE(std::filesystem::exists(dir / "final" / "leftover"));
  EXPECT_FALSE(std::filesystem::exists(dir / "final.replaced"));
  EXPECT_TRUE(std::filesystem::exists(dir / "final.old"));
}

TEST(Files, SiblingOfAPathWithATrailingSlash) {
  EXPECT_EQ(Sibling("a/out", ".lock"), "a/out.lock");
  EXPECT_EQ(Sibling("a/out/", ".lock"), "a/out.lock");
}

// The examples of FIPS 180-4's companion document, and a length that needs a second padding block.
TEST(Hash, Sha256KnownValues) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, PiecesAndFileEqualTheWhole) {
  std::string text(1000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 37);
  Sha256 pieces;
  for (size_t i = 0; i < text.size(); i += 67) pieces.Update(std::string_view(text).substr(i, 67));
  EXPECT_EQ(pieces.HexDigest(), Sha256Hex(text));
  TempDir dir;
  WriteFileAtomically(dir / "f", text);
  EXPECT_EQ(Sha256HexOfFile(dir / "f"), Sha256Hex(text));
}

TEST(Threads, EveryIndexExactlyOnce) {
  ThreadPool pool(4);
  for (int64_t count : {0, 1, 3, 4, 5, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
    pool.ParallelFor(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (auto& times : seen) EXPECT_EQ(times, 1);
  }
}

TEST(Threads, ExceptionReachesTheCaller) {
  ThreadPool pool(3);
  EXPECT_ERROR(pool.ParallelFor(100, 1,
                                [](int64_t begin, int64_t) {
                                  if (begin > 0) throw Error("here", "broken");
                                }),
               "here: broken");
  std::atomic<int64_t> sum = 0;
  pool.ParallelFor(10, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  EXPECT_EQ(sum, 10);
}

TEST(Random, SameSeedSameNumbersAndPlausibleMoments) {
  EXPECT_EQ(Random(0).Next(), 0xe220a8397b1dcdafu);  // splitmix64's published first output for seed 0
  Random random(7);
  double sum = 0, squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    double value = random.Normal();
    sum += value;
    squares += value * value;
    ASSERT_LT(random.Below(10), 10u);
  }
  EXPECT_LT(std::abs(sum / kCount), 0.02);
  EXPECT_LT(std::abs(squares / kCount - 1), 0.03);
}

TEST(ProgressText, DurationsAndSizesForPeople) {
  EXPECT_EQ(FormatDuration(4.23), "4.2 s");
  EXPECT_EQ(FormatDuration(200), "3 min 20 s");
  EXPECT_EQ(FormatDuration(3720), "1 h 02 min");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(15300000000), "15.3 GB");
}

TEST(Memory, LargePagesAreAlignedAndHoldWhatIsWritten) {
  for (size_t count : {size_t{1}, size_t{100}, (size_t{2} << 20) / 8 - 1, (size_t{2} << 20) / 8, size_t{700'001}}) {
    std::vector<uint64_t, LargePages<uint64_t>> block(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % (count * 8 < 2 << 20 ? 64 : 2 << 20), 0u) << count;
    EXPECT_EQ(std::ranges::count(block, 0u), static_cast<std::ptrdiff_t>(count));
    block.back() = 7;
    block.resize(2 * count, 8);
    EXPECT_EQ(block[count - 1], 7u);
    EXPECT_EQ(block.back(), 8u);
  }
}

TEST(Memory, LargePagesGoBackToTheSystemWhateverLiesBetween) {
  using Block = std::vector<char, LargePages<char>>;
  for (size_t bytes : {size_t{8} << 20, size_t{1} << 20}) {
    { const Block first(bytes); }  // a heap learns from the first block that is freed
    std::vector<Block> blocks;
    for (int i = 0; i < 16; ++i) blocks.emplace_back(bytes, 'x');
    const uint64_t all = AnonymousBytes();
    for (size_t i = 0; i < blocks.size(); i += 2) Block().swap(blocks[i]);
    EXPECT_LT(AnonymousBytes(), all - 7 * bytes) << bytes;
  }
}

TEST(Memory, SeesWhatIsAllocated) {
  uint64_t before = AnonymousBytes();
  std::vector<char> block(64 << 20, 1);
  EXPECT_GT(AnonymousBytes(), before + (60u << 20));
  const uint64_t now = ResidentBytes();
  EXPECT_GE(PeakResidentBytes(), now);
  EXPECT_GT(TotalMemoryBytes(), AvailableMemoryBytes());
}

}  // namespace
}  // namespace ecld
