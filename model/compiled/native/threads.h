// SPDX-License-Identifier: MIT
// A crew of threads for one evaluation. Not OpenMP: its runtime is a library that has to
// be found on the user's machine, and torch brings one of its own under another name.
#ifndef LAMPLIGHTER_THREADS_H
#define LAMPLIGHTER_THREADS_H

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lamplighter {

class Threads {
 public:
  typedef std::function<void(int thread, int64_t begin, int64_t end)> Work;

  explicit Threads(int count) : count_(count < 1 ? 1 : count) {}
  ~Threads() { dismiss(); }
  Threads(const Threads &) = delete;
  Threads &operator=(const Threads &) = delete;

  int count() const { return count_; }

  // Gives every thread its even share of 0 ... n, always the same one, and waits. The
  // first exception is thrown again here.
  void share(int64_t n, const Work &work) {
    if (count_ == 1 || n < 2) return work(0, 0, n);
    if (crew_ == nullptr || pid_ != getpid()) hire();
    Crew &crew = *crew_;
    {
      std::lock_guard<std::mutex> hold(crew.mutex);
      crew.work = &work;
      crew.n = n;
      crew.busy = count_ - 1;
      crew.problem = nullptr;
      ++crew.round;
    }
    crew.wake.notify_all();
    crew.run(0, count_, n, work);
    std::unique_lock<std::mutex> hold(crew.mutex);
    crew.done.wait(hold, [&] { return crew.busy == 0; });
    if (crew.problem) std::rethrow_exception(crew.problem);
  }

 private:
  struct Crew {
    std::mutex mutex;
    std::condition_variable wake, done;
    std::vector<std::thread> threads;
    const Work *work = nullptr;
    int64_t n = 0, round = 0;
    int busy = 0;
    bool stop = false;
    std::exception_ptr problem;

    void run(int thread, int count, int64_t all, const Work &job) {
      try {
        job(thread, all * thread / count, all * (thread + 1) / count);
      } catch (...) {
        std::lock_guard<std::mutex> hold(mutex);
        if (!problem) problem = std::current_exception();
      }
    }
    void serve(int thread, int count) {
      int64_t seen = 0;
      for (;;) {
        std::unique_lock<std::mutex> hold(mutex);
        wake.wait(hold, [&] { return stop || round != seen; });
        if (stop) return;
        seen = round;
        const Work *job = work;
        const int64_t all = n;
        hold.unlock();
        run(thread, count, all, *job);
        hold.lock();
        if (--busy == 0) done.notify_one();
      }
    }
  };

  void hire() {
    dismiss();
    crew_ = new Crew;
    pid_ = getpid();
    try {
      for (int k = 1; k < count_; ++k)
        crew_->threads.emplace_back([crew = crew_, k, count = count_] {
          crew->serve(k, count);
        });
    } catch (...) {  // the system gives no more threads
      dismiss();
      throw;
    }
  }
  void dismiss() {
    if (crew_ == nullptr) return;
    if (pid_ != getpid()) {  // a fork: the threads stayed behind, nothing can be joined
      crew_ = nullptr;
      return;
    }
    {
      std::lock_guard<std::mutex> hold(crew_->mutex);
      crew_->stop = true;
    }
    crew_->wake.notify_all();
    for (std::thread &one : crew_->threads) one.join();
    delete crew_;
    crew_ = nullptr;
  }

  int count_;
  pid_t pid_ = 0;
  Crew *crew_ = nullptr;
};

}  // namespace lamplighter
#endif
